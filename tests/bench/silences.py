"""Every silence of recordings, the pauses and the ends, with what a conversation knows of each at its first silent window. They are
looked at once and kept in a file outside the tree, so that measuring and fitting take seconds."""

import asyncio
import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from tqdm import tqdm

import services.weights
from app.core.clock import LoopClock
from app.settings import Settings
from app.turn_taking.detector import TurnDetector
from app.turn_taking.endpointing import LEAST_MS, Said, is_surely_whole
from app.turn_taking.recognition import Recognition, better_look
from app.turn_taking.signals import Ask
from languages.en import LANGUAGE as ENGLISH
from languages.wording import length
from services import embedded
from services.base import VAD_WINDOW, Services
from services.stt.speech_judge import last_sound
from services.stt.whisper import QUICK, TAIL_S, WINDOW_S, WhisperStt, listen, split_at_quiet
from tests.bench.clips import RATE, Audio, Clip, clips, quietest, room_tone
from tests.bench.opus import coded
from tests.bench.virtual.material import telephone

KINDS = {  # what is counted together
    "answer": "answer",
    "statement": "statement",
    "request": "request",
    "command": "request",
    "question": "question",
    "open_question": "question",
    "turn": "read",
    "utt": "read",
}
CUT = ("command", "question", "open_question")  # kinds that are cut short as well: people seldom pause in them
CODED_BPS = 24_000  # of speech by WebRTC over a poor line
FORMS: dict[str, Callable[[Audio], Audio]] = {"telephone": telephone, "opus": lambda audio: coded(audio, CODED_BPS)}
SHORT, DICTATED = 3, frozenset({"phone", "address", "spelled"})  # words of a short answer, and answers that are no such
LONG_MS = 2500.0  # after a longer silence nobody is expected to go on
LEAD_S, SILENCE_S, CUT_S = 0.5, 3.2, 1.3  # of room tone: before, after an end, after a cut
LATER_MS = 200.0  # silence at which Pipecat asks the end-of-turn model
ASKED = {  # what was asked for before an answer of this type, where the recording does not say
    "phone": "What is your phone number?",
    "address": "What is your address?",
    "spelled": "Could you spell your name, please?",
    "digit": "How many do you need?",
}


@dataclass(frozen=True, slots=True)
class Silence:
    """`length_ms`: of a pause; 0 at the end of a turn. `late_ms`: from the end of the speech to the end of its last voiced window.
    `later`: what the end-of-turn model says after LATER_MS. `pauses`: ms of the turn's silences before. `cut`: not a pause but a
    sentence cut short. `form`: as which of FORMS the recording was heard, "" as it is."""

    clip: str
    kind: str
    speaker: str
    measure_only: bool
    cut: bool
    ended: bool
    length_ms: float
    late_ms: float
    asked: str
    answer_type: str
    text: str
    closed: float
    complete: float
    later: float
    understood: bool
    pauses: tuple[float, ...]
    sound: tuple[float, ...]  # the last of the voice, as Whisper's encoder sees it
    ending: float | None = None
    form: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it is counted as. "begun" is a pause after a few words where nothing is dictated, the opposite of "short"."""
        if self.form:
            return (f"{self.form}_{self.kind}",)
        begun = not self.ended and 0 < length(self.text) <= SHORT and self.answer_type not in DICTATED
        return (self.kind, *filter(None, (self.answer_type if self.kind == "answer" else "", "begun" if begun else "")))

    def said(self, asked: bool = True) -> Said:
        """`asked`: whether it is known what the agent said last."""
        return Said(self.text, self.complete, self.closed, self.ending, self.understood, self.asked if asked else "")


@dataclass(slots=True)
class _Run:
    """A silence as voice detection finds it: where it begins (the end of the last voiced window) and was noticed, where the turn
    begins, in ms; and its length, begun again by every blip."""

    start_ms: float
    heard_ms: float
    turn_ms: float
    length_ms: float = 0.0


def silences(data: Path) -> list[Silence]:
    """Of the recordings in `data` and in its folder `conversation`, from the cache where the recordings and the models are those
    it was made with. FileNotFoundError without a manifest."""
    folders = [folder for folder in (data / "conversation", data) if folder == data or (folder / "manifest.jsonl").exists()]
    said = [clip for folder in folders for clip in clips(folder, *KINDS)]
    kept = Settings().weights_dir / "silences" / f"{_fingerprint(folders)}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    known = _known(kept)
    if missing := [clip for clip in said if str(clip.path) not in known]:
        with kept.open("a", encoding="utf-8") as file:
            asyncio.run(_look(missing, file))
    short = {clip.id for clip in said if len(clip.text.split()) <= SHORT and clip.row.get("answer_type") not in DICTATED}
    rows = chain.from_iterable(_known(kept).values())
    found = [Silence(**{**row, "pauses": tuple(row["pauses"]), "sound": tuple(row["sound"])}) for row in rows]
    return [replace(one, answer_type="short") if one.clip in short else one for one in found]


def _known(kept: Path) -> dict[str, list[dict[str, Any]]]:
    """By file of a recording what was found in it."""
    lines = kept.read_text("utf-8").splitlines() if kept.exists() else []
    return dict(json.loads(line) for line in lines)


def _fingerprint(folders: list[Path]) -> str:
    """Changes with the recordings, the weights and what is kept of a silence. After a change to how models are used, delete the
    file."""
    files = [Path(services.weights.__file__), *(folder / "manifest.jsonl" for folder in folders)]
    kept = " ".join(field.name for field in fields(Silence)).encode()
    return hashlib.sha256(b"".join(file.read_bytes() for file in files) + kept).hexdigest()[:16]


async def _look(said: list[Clip], file: TextIO) -> None:
    settings = Settings()
    models = embedded(settings.weights_dir, settings.weights_dir, ENGLISH)
    await asyncio.gather(*(service.warm() for service in (models.vad, models.turn, models.stt, models.retrieval)))
    await models.intent.warm()
    ears = _Ears(models, settings)
    for clip in tqdm(said, "silences"):
        found = await ears.turn(clip)
        if other := other_form(clip):
            found += [replace(one, form=other[1]) for one in await ears.turn(other[0])]
        if clip.row["kind"] in CUT:
            for at in quietest(clip.audio, clip.speech_start, clip.speech_end):
                found += await ears.cut_short(clip, at)
        file.write(json.dumps([str(clip.path), [asdict(one) for one in found]]) + "\n")
        file.flush()


def other_form(clip: Clip) -> tuple[Clip, str] | None:
    """The clip as it is heard through one of FORMS, half of the clips through each; what is read aloud is heard as it is."""
    if KINDS[clip.row["kind"]] == "read":
        return None
    form = sorted(FORMS)[zlib.crc32(clip.id.encode()) % len(FORMS)]
    return replace(clip, edited=FORMS[form](clip.audio)), form


class _Ears:
    def __init__(self, models: Services, settings: Settings) -> None:
        self._models, self._settings = models, settings
        self._understanding = Recognition(models, LoopClock(), models.retrieval.vocabulary)

    async def turn(self, clip: Clip) -> list[Silence]:
        """The silences of a recording up to its end, where that is known, or to a silence that is too long for a pause."""
        ends = clip.row.get("turn_ends")
        end_s = clip.speech_end if clip.row.get("turn_end_sure", True) and (ends is None or ends) else None
        lead = room_tone(clip.audio, LEAD_S)
        audio = np.concatenate([lead, clip.audio, room_tone(clip.audio, 0.0 if end_s is None else SILENCE_S)])
        found, pauses = list[Silence](), list[float]()
        for run in await self._runs(audio):
            began_s = run.start_ms / 1000 - LEAD_S
            ended = end_s is not None and began_s > end_s - 0.25
            if run.length_ms > LONG_MS and not ended:
                break
            if run.length_ms < LEAST_MS:
                continue
            late_ms = 1000 * (began_s - end_s) if ended and end_s is not None else 0.0
            found.append(await self._silence(clip, audio, run, ended, late_ms, pauses))
            pauses.append(run.length_ms)
            if ended:
                break
        return found

    async def cut_short(self, clip: Clip, at: int) -> list[Silence]:
        """The silence after a sentence that is cut short at a sample; none where voice detection goes on."""
        audio = np.concatenate([room_tone(clip.audio, LEAD_S), clip.audio[:at], room_tone(clip.audio, CUT_S)])
        runs = await self._runs(audio)
        last = [run for run in runs[-1:] if run.length_ms > 800 * CUT_S]
        return [await self._silence(clip, audio, run, False, 0.0, [], cut=True) for run in last]

    async def _runs(self, audio: Audio) -> list[_Run]:
        """The silences of one turn, which is never ended."""
        turns, detector, runs = TurnDetector(self._settings, ENGLISH), self._models.vad.detector(), list[_Run]()
        for at in range(0, len(audio) - VAD_WINDOW + 1, VAD_WINDOW):
            signals = turns.window(await detector.probability(audio[at : at + VAD_WINDOW]), "silent")
            if Ask.PREPARE in signals:
                runs.append(_Run(turns.activity.last_voice_ms, turns.activity.now_ms, turns.turn.start_ms))
            if runs and turns.activity.silence_ms:
                runs[-1].length_ms = max(runs[-1].length_ms, turns.activity.silence_ms)
        return runs

    async def _silence(
        self, clip: Clip, audio: Audio, run: _Run, ended: bool, late_ms: float, pauses: list[float], cut: bool = False
    ) -> Silence:
        row, begin = clip.row, max(0, round((run.turn_ms - self._settings.preroll_ms) * RATE / 1000))
        heard = audio[begin : round(run.heard_ms * RATE / 1000)]
        prompt = self._models.retrieval.vocabulary()
        transcript = await self._models.stt.transcribe(heard, final=True, prompt=prompt)
        if transcript.doubtful:
            closer = await self._models.stt.transcribe(heard, final=True, prompt=prompt, thorough=True)
            transcript = better_look(transcript, closer)
        later = audio[begin : round((run.start_ms + LATER_MS) * RATE / 1000)]
        whole = is_surely_whole(ENGLISH.wording, transcript.text, transcript.sentence_end)
        return Silence(
            clip=clip.id,
            kind=KINDS[row["kind"]],
            speaker=str(row.get("speaker")),
            measure_only=bool(row.get("measure_only")),
            cut=cut,
            ended=ended,
            length_ms=0.0 if ended else run.length_ms,
            late_ms=late_ms,
            asked=str(row.get("asked") or ASKED.get(str(row.get("answer_type")), "")),
            answer_type=row.get("answer_type") or "",
            text=transcript.text,
            closed=transcript.sentence_end,
            complete=await self._models.turn.complete(heard),
            later=await self._models.turn.complete(later),
            understood=whole or (bool(transcript.text) and await self._understanding.is_order(transcript.text)),
            pauses=tuple(pauses),
            sound=self._sound(heard),
            ending=transcript.ending,
        )

    def _sound(self, heard: Audio) -> tuple[float, ...]:
        """As the quick look at a turn hears it."""
        assert isinstance(self._models.stt, WhisperStt)
        part = split_at_quiet(heard)[-1]
        window_s = min(max(len(part) / RATE + TAIL_S, QUICK.window_s), WINDOW_S)
        seen = last_sound(listen(self._models.stt.model(), part, window_s, QUICK.sparse)["heard"], len(part))
        return tuple(round(float(value), 3) for value in seen)
