// The page's side of the protocol in app/protocol/messages.py, on the data channel of FastRTC's component: begins or resumes the session,
// falls silent and turns down when told, reports what was really played, reconnects, and says in words what went wrong.
(() => {
  "use strict";
  const RTP_PER_MS = 48; // the RTP clock of Opus (RFC 7587, section 4.1)
  const TICK_MS = 20; // how often playback is looked at
  const PROGRESS_MS = 200;
  const START_MS = 1000; // until `start` is said again
  const CONNECT_MS = 12000; // from the microphone's consent to `ready`
  const RETRY_MS = [100, 500, 1000, 2000, 4000, 8000]; // the last one repeats
  const LOOK_MS = 100; // how often it is looked whether the server is still there
  const ASK_LOOKS = 9; // without a sign of it, after which it is asked: in a silence it sends something every 400 ms
  const GONE_LOOKS = 17; // ... after which it has gone
  const UNDERWAY_MS = 500; // no sound is on its way for longer
  const PATH_MS = 120; // assumed from server to ear where the browser gives no RTP time
  const VIEW_MS = 3000; // for the page's view to follow after a reconnection
  const MUTED_MS = 2000; // of silence from a microphone that is there, before it is told
  const STORE = "parley-session";
  const GO_ON = "parley-go-on"; // set across a reload that is to start by itself
  const TYPED = "parley-typed"; // what the server has not taken yet
  const STALE = new Set(["unknown_session", "wrong_token", "other_secret", "deleted"]); // a kept session that is no good any more
  const MOVED = /^gradio_api\/(component_server|queue\/join|queue\/data)\b/; // what belongs to the server that has the conversation
  const WORDS = {
    NotAllowedError: "The browser does not let this page use the microphone. Allow it in the address bar, then press Start.",
    NotFoundError: "No microphone was found. Plug one in, then press Start.",
    OverconstrainedError: "The chosen microphone is gone. Reload the page to use another one.",
    NotReadableError: "The microphone is in use by another program, or the system does not give it away.",
    framed: "The page around this one does not let it use the microphone. Open it in a window of its own.",
    full: "Too many people are talking right now. Please try again in a minute.",
    taken_over: "This conversation goes on in another window.",
    insecure: "Browsers give the microphone to secure pages only. Open this page by https, or at localhost.",
    unsupported: "This browser cannot do real-time audio (WebRTC). A current Chrome, Edge, Firefox or Safari can.",
    unreachable: "The server does not answer. Check the connection, then press Start.",
    lost: "The connection was lost. Trying to get it back…",
    ended: "The conversation has ended. Press Start for a new one.",
    resumable: "Your conversation is kept. Press Start to go on.",
    disconnected: "Press Start first, then type.",
    unconnected: "The connection is not there yet. Press Enter again in a moment.",
    unplugged: "The microphone is gone. Plug one in, then press Start: your conversation is kept.",
    muted: "The microphone gives no sound: the system or a switch on it has muted it.",
    anew: "The conversation before this one is no longer kept. This is a new one.",
    frozen: "The connection is back, but the texts on this page are not: this browser lets it keep nothing to start again with.",
  };

  let wanted = false; // the user wants a conversation
  let tries = 0; // to connect: what an earlier one waited for is no news any more
  let attempt = 0;
  let retryTimer = null; // set while the next try is waited for
  let connectTimer, startTimer, unmuteTimer, tickTimer, lookTimer;
  let stoppedAt = -Infinity;
  let peer = null; // {pc, channel}: the connection in use
  let microphone = null; // the newest stream: the component uses no other
  let componentOpen = false; // the component takes itself for connected, so its button stops
  let alive = false; // a message has come since it was last looked
  let sentOn = null; // the address at which a server that went down said to go on
  let anew = false; // the conversation to go on with is gone: the user is to know
  let passing; // what was told of a fault that may be over
  let shownBefore; // the view on the page when the connection was lost
  let playing = null; // the reply being heard: {generation, rtp, ms, at, end, progressAt}
  let last; // what was heard last, {generation, played_ms}: said again after a loss, for the server may not have got it

  const element = (id) => document.getElementById(`parley-${id}`);
  const audio = () => document.querySelector("#parley-device audio");
  const pressComponent = () => document.querySelector("#parley-device .button-wrap button").click();
  const isLive = () => document.documentElement.dataset.link === "live";

  // --- what the user is told ---

  function setLink(link, text) {
    document.documentElement.dataset.link = link;
    element("link").textContent = text;
    // Start and Stop take each other's place: the keyboard must not fall off the page between them.
    const focused = document.activeElement;
    if (focused !== document.body && focused?.offsetParent === null) element(wanted ? "stop" : "start").focus();
  }

  function tell(words) {
    element("notice").textContent = words;
  }

  // --- the session ---

  const memory = new Map(); // what is kept as long as the page lasts, where the browser forbids it to keep more

  // Returns whether it outlives a reload. A frame whose cookies are blocked may not even look at `sessionStorage`.
  function keep(name, text) {
    memory.set(name, text);
    try {
      if (text === null) sessionStorage.removeItem(name);
      else sessionStorage.setItem(name, text);
      return true;
    } catch {
      return false;
    }
  }

  function kept(name) {
    try {
      return sessionStorage.getItem(name) ?? memory.get(name) ?? null;
    } catch {
      return memory.get(name) ?? null;
    }
  }

  // The session to go on with: while it is in use it lasts. `until` is by this browser's clock, which may be hours from the server's.
  function storedSession() {
    const session = parse(kept(STORE));
    return session && (isLive() || !session.until || session.until > Date.now()) ? session : null;
  }

  function store(session) {
    keep(STORE, session && JSON.stringify(session));
  }

  const unsaid = () => parse(kept(TYPED)) ?? [];

  function keepUnsaid(texts) {
    keep(TYPED, texts.length ? JSON.stringify(texts) : null);
  }

  // Each use of a session begins its time to live anew.
  function renew(session) {
    if (session) store({ ...session, until: Date.now() + session.lasts_ms });
  }

  function address(route) {
    return new URL(route, location.origin + location.pathname.replace(/\/?$/, "/"));
  }

  // A server that stands still, or a network that swallows what is sent, would keep a request waiting for minutes.
  function request(target, options) {
    return fetch(target, { ...options, signal: AbortSignal.timeout?.(CONNECT_MS) });
  }

  // Of several servers behind one address, the one that answers names its own in `url`: the conversation goes there.
  async function openSession() {
    const before = parse(kept(STORE));
    if (await findSession()) return;
    anew ||= before?.begun === true;
    const response = await request(address("sessions"), { method: "POST" });
    if (!response.ok) {
      const { code, message = `status ${response.status}` } = parse(await response.text())?.error ?? {};
      if (code === "shutting_down" && attempt > 0) throw new Error(message);
      if (response.status === 429 || response.status === 503) throw new Refusal(WORDS.full);
      throw new Refusal(`The server refused to begin a conversation: ${message}.`);
    }
    const session = await response.json();
    const lasts_ms = new Date(session.expires_at) - new Date(response.headers.get("date") ?? NaN);
    renew({ ...session, begun: false, lasts_ms });
    last = undefined;
  }

  // Whether there is a session to go on with, at a server that would take it: the component hangs when there is none.
  async function findSession() {
    const session = storedSession();
    const url = sentOn;
    sentOn = null;
    if (!session) return false;
    if (url) {
      store({ ...session, url });
      return true;
    }
    const headers = { Authorization: `Bearer ${session.token}` };
    const route = session.url ? `sessions/${session.session_id}` : "readyz";
    const response = await request(address(route), session.url ? { headers } : {});
    const answer = parse(await response.text());
    if (session.url && STALE.has(answer?.error?.code)) store(null);
    else if (session.url && response.ok) store({ ...session, url: answer.url });
    else if (!response.ok && attempt > 0) throw new Error("the server does not take it up yet");
    return storedSession() !== null;
  }

  class Refusal extends Error {}

  // --- connecting ---

  async function connect() {
    const mine = ++tries;
    clearTimeout(retryTimer);
    retryTimer = null;
    if (attempt === 0) setLink("connecting", "Connecting…");
    else setLink("lost", `Reconnecting, try ${attempt}…`);
    try {
      await openSession();
    } catch (error) {
      if (!wanted || mine !== tries) return;
      if (error instanceof Refusal) hangUp(error.message);
      else if (attempt > 0) retry();
      else hangUp(WORDS.unreachable);
      return;
    }
    if (!wanted || mine !== tries) return;
    pressComponent();
    watchConnect();
  }

  const shown = () => document.querySelector("#parley-caption [data-view]")?.dataset.view;

  // Gradio does not take up its own event stream again after an outage or a restart of the server: only a reload does.
  function checkView() {
    if (!isLive() || shown() !== shownBefore) return;
    if (keep(GO_ON, element("notice").textContent || "1")) location.reload();
    else tell(WORDS.frozen);
  }

  function watchConnect() {
    clearTimeout(connectTimer);
    connectTimer = setTimeout(() => {
      if (attempt === 0) hangUp(WORDS.unreachable);
      // The server was there, and the component has not even begun: it hangs, and only a reload frees it.
      else if (peer || !keep(GO_ON, "1")) retry();
      else location.reload();
    }, CONNECT_MS);
  }

  function retry(after = 0) {
    clearTimeout(connectTimer);
    clearTimeout(retryTimer);
    drop();
    tell(WORDS.lost);
    if (attempt === 0) shownBefore = shown();
    const wait = after + RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)] * (0.75 + Math.random() / 2);
    attempt += 1;
    setLink("lost", "Connection lost");
    retryTimer = setTimeout(connect, wait);
  }

  // A server that has gone closes nothing, and the browser notices after many seconds. Looks are counted, not time: a page that was
  // held up itself has missed nothing.
  function watch() {
    clearInterval(lookTimer);
    let silent = 0;
    let heard;
    lookTimer = setInterval(() => {
      const now = peer?.pc.getReceivers()[0]?.getSynchronizationSources()[0]?.timestamp;
      silent = alive || now !== heard ? 0 : silent + 1;
      heard = now;
      alive = false;
      if (silent === ASK_LOOKS) ask();
      if (silent >= GONE_LOOKS) retry();
    }, LOOK_MS);
  }

  // A process that is gone refuses at its own address what it can no longer answer over the connection.
  function ask() {
    const { pc } = peer;
    const url = storedSession()?.url;
    send({ type: "ping" });
    if (url) fetch(`${url}/healthz`).catch(() => peer?.pc === pc && wanted && retry());
  }

  function drop() {
    if (isLive()) renew(storedSession());
    clearInterval(startTimer);
    clearInterval(lookTimer);
    if (playing) position();
    endPlayback();
    const before = peer;
    peer = null;
    if (componentOpen) pressComponent(); // its own way to stop: it tells the server and closes
    else before?.pc.close();
    componentOpen = false;
  }

  function hangUp(words) {
    wanted = false;
    attempt = 0;
    clearTimeout(retryTimer);
    retryTimer = null;
    clearTimeout(connectTimer);
    drop();
    release();
    delete document.documentElement.dataset.state;
    setLink("idle", "Not connected");
    tell(words);
  }

  function attach(pc, channel) {
    peer?.pc.close(); // the component was started twice: of two connections it would stop the one in use
    peer = { pc, channel };
    if (wanted) watchConnect();
    const mine = () => peer?.pc === pc;
    const lost = () => {
      if (mine() && wanted) retry();
    };
    channel.addEventListener("open", () => {
      if (!mine() || !wanted) return;
      const { session_id, token, begun = false } = storedSession() ?? {};
      const start = { type: "start", session_id, token, sample_rate: 48000, resume: begun, greeting: !begun, played: last };
      send(start);
      // Said before the server has found its ears, it is lost; said twice, the second is ignored.
      startTimer = setInterval(send, START_MS, start);
    });
    channel.addEventListener("message", (event) => {
      alive = true;
      const message = parse(event.data);
      const handler = HANDLERS[message?.type];
      if (!handler) return; // the component's own messages
      event.stopImmediatePropagation();
      if (mine()) handler(message);
    });
    channel.addEventListener("close", lost);
    pc.addEventListener("connectionstatechange", () => {
      if (!mine()) return;
      componentOpen = pc.connectionState === "connected";
      if (componentOpen && !wanted) drop(); // stopped while the browser asked for the microphone
      if (["disconnected", "failed", "closed"].includes(pc.connectionState)) lost();
    });
  }

  function parse(data) {
    try {
      return JSON.parse(data);
    } catch {
      return null; // not ours
    }
  }

  function send(message) {
    if (peer?.channel.readyState === "open") peer.channel.send(JSON.stringify(message));
  }

  // --- messages of the server ---

  const HANDLERS = {
    ready() {
      clearTimeout(connectTimer);
      clearInterval(startTimer);
      if (attempt > 0) setTimeout(checkView, VIEW_MS);
      attempt = 0;
      tell(anew ? WORDS.anew : "");
      anew = false;
      setLink("live", "Connected");
      renew({ ...storedSession(), begun: true });
      watch();
      unsaid().forEach((text) => send({ type: "text", text }));
    },
    transcript({ text, final }) {
      if (!final) return;
      keepUnsaid(unsaid().filter((words) => !text.includes(words)));
      if (element("notice").textContent === passing) tell(""); // the turn after it has been understood
    },
    shutting_down({ url, after_ms }) {
      sentOn = url ?? null;
      retry(after_ms);
    },
    pong() {},
    state({ state, reason }) {
      document.documentElement.dataset.state = state;
      if (state !== "IDLE" || reason !== "stop") return; // otherwise it can be resumed
      store(null);
      keepUnsaid([]);
      hangUp(WORDS.ended);
    },
    playback_start(message) {
      endPlayback();
      playing = { ...message, at: performance.now(), end: null, progressAt: -Infinity };
      audio().volume = 1;
      const source = played();
      const early = source === null || message.rtp === undefined ? 0 : ((message.rtp - source) | 0) / RTP_PER_MS;
      // What is still on its way belongs to the reply that was stopped: it stays silent until the new one begins.
      // In a silence few packets come, and the one played last says little about where the sound is now.
      const gone = stoppedAt + UNDERWAY_MS - performance.now();
      unmuteTimer = setTimeout(() => (audio().muted = false), Math.max(0, Math.min(early - 20, gone)));
      tickTimer = setInterval(tick, TICK_MS);
    },
    audio_end({ generation, ms }) {
      if (playing?.generation === generation) playing.end = ms;
    },
    playback_stop({ generation }) {
      audio().muted = true;
      stoppedAt = performance.now();
      const { ms, estimated } = playing?.generation === generation ? position() : { ms: 0, estimated: false };
      endPlayback();
      send({ type: "playback_stopped", generation, played_ms: ms, estimated });
    },
    duck({ gain }) {
      audio().volume = gain;
    },
    unduck({ gain }) {
      audio().volume = gain;
    },
    error({ code, message, fatal, field }) {
      const words = WORDS[code] ?? `${message[0].toUpperCase()}${message.slice(1)}.`;
      const stale = STALE.has(code) && storedSession()?.begun;
      anew ||= stale;
      if (field === "text") keepUnsaid(unsaid().slice(0, -1)); // it was not taken, and that is told
      if (STALE.has(code)) store(null);
      if (stale || code === "shutting_down" || (code === "full" && attempt > 0)) retry();
      else if (fatal) hangUp(words);
      else tell((passing = words));
    },
  };

  // --- playback truth ---

  function played() {
    return peer?.pc.getReceivers()[0]?.getSynchronizationSources()[0]?.rtpTimestamp ?? null;
  }

  function position() {
    const now = played();
    const estimated = now === null || playing.rtp === undefined;
    // `| 0` takes the difference of two 32-bit clocks across their wrap.
    const since = estimated ? performance.now() - playing.at - PATH_MS : ((now - playing.rtp) | 0) / RTP_PER_MS;
    const ms = Math.min(Math.max(playing.ms + since, playing.ms), playing.end ?? Infinity);
    if (!estimated) last = { generation: playing.generation, played_ms: ms };
    return { ms, estimated };
  }

  function tick() {
    const { ms, estimated } = position();
    const { generation, end, progressAt } = playing;
    if (end !== null && ms >= end) {
      endPlayback();
      send({ type: "playback_done", generation, played_ms: ms, estimated });
    } else if (ms > playing.ms && performance.now() - progressAt >= PROGRESS_MS) {
      playing.progressAt = performance.now();
      send({ type: "playback_progress", generation, played_ms: ms });
    }
  }

  function endPlayback() {
    clearInterval(tickTimer);
    clearTimeout(unmuteTimer);
    playing = null;
  }

  // --- the browser's doors that the component uses ---

  // A track ends by itself when its device is gone; `stop` fires no event.
  function attend(track) {
    let mutedTimer;
    const inUse = () => wanted && microphone?.getTracks().includes(track);
    track.addEventListener("ended", () => {
      if (!inUse()) return;
      hangUp(WORDS.unplugged);
      isForbidden().then((forbidden) => forbidden && !wanted && tell(WORDS.NotAllowedError));
    });
    track.addEventListener("mute", () => {
      mutedTimer = setTimeout(() => inUse() && tell(WORDS.muted), MUTED_MS);
    });
    track.addEventListener("unmute", () => {
      clearTimeout(mutedTimer);
      if (element("notice").textContent === WORDS.muted) tell("");
    });
  }

  // Whether the user has taken the microphone away from the page; browsers that do not tell are taken not to have.
  async function isForbidden() {
    try {
      return (await navigator.permissions.query({ name: "microphone" })).state === "denied";
    } catch {
      return false;
    }
  }

  // Whether a page around this one, if there is any, gives it the microphone; browsers that do not tell are taken to.
  function mayListen() {
    const policy = document.permissionsPolicy ?? document.featurePolicy;
    return window.top === window || policy?.allowsFeature("microphone") !== false;
  }

  function release() {
    microphone?.getTracks().forEach((track) => track.stop());
    microphone = null;
  }

  function patchBrowser() {
    const fetchAnything = window.fetch.bind(window);
    window.fetch = (target, options) => {
      const url = storedSession()?.url;
      const route = new URL(target.url ?? target, location.href).href;
      const base = address("").href;
      const moved = url && route.startsWith(base) && MOVED.test(route.slice(base.length));
      if (!moved) return fetchAnything(target, options);
      return fetchAnything(`${url}/${route.slice(base.length)}`, { ...options, credentials: "omit" });
    };
    const createDataChannel = RTCPeerConnection.prototype.createDataChannel;
    RTCPeerConnection.prototype.createDataChannel = function (label, options) {
      const channel = createDataChannel.call(this, label, options);
      if (label !== "text") return channel;
      const say = channel.send.bind(channel);
      channel.send = (data) => data === "handshake" || say(data); // the component's own greeting is not in the protocol
      attach(this, channel);
      return channel;
    };
    const devices = navigator.mediaDevices;
    const getUserMedia = devices.getUserMedia.bind(devices);
    devices.getUserMedia = async (constraints) => {
      clearTimeout(connectTimer); // the user may think about consent as long as they like
      try {
        const stream = await getUserMedia(constraints);
        release();
        microphone = stream;
        stream.getAudioTracks().forEach(attend);
        if (!wanted) release(); // the component opens the microphone once more when it stops
        return stream;
      } catch (error) {
        const name = error.name === "NotAllowedError" && !mayListen() ? "framed" : error.name;
        if (wanted) hangUp(WORDS[name] ?? `The microphone cannot be used (${error.name}).`);
        throw error;
      }
    };
  }

  const obstacle = !window.isSecureContext ? "insecure" : !window.RTCPeerConnection || !navigator.mediaDevices ? "unsupported" : null;
  if (!obstacle) patchBrowser();
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing) window.parley.interrupt();
  });
  addEventListener("pagehide", () => isLive() && renew(storedSession()));
  addEventListener("online", () => retryTimer !== null && connect());

  window.parley = {
    ready() {
      element("state").setAttribute("role", "status");
      setLink("idle", "Not connected");
      if (obstacle) {
        element("start").disabled = true;
        tell(WORDS[obstacle]);
      } else if (kept(GO_ON)) {
        anew = kept(GO_ON) === WORDS.anew;
        keep(GO_ON, null);
        window.parley.start();
      } else if (storedSession()?.begun) tell(WORDS.resumable);
    },
    start() {
      if (wanted) return;
      wanted = true;
      tell("");
      connect();
    },
    stop() {
      send({ type: "stop" });
      store(null);
      keepUnsaid([]);
      hangUp("");
    },
    interrupt() {
      if (!isLive()) return;
      // At once: playback_stop follows, and the next reply's playback_start lets sound out again.
      clearTimeout(unmuteTimer);
      audio().muted = true;
      send({ type: "interrupt" });
    },
    say(text) {
      if (!text.trim()) return text;
      if (!isLive()) {
        tell(!wanted ? WORDS.disconnected : attempt > 0 ? WORDS.lost : WORDS.unconnected);
        return text;
      }
      keepUnsaid([...unsaid(), text.trim()]);
      send({ type: "text", text });
      return "";
    },
  };
})();
