"""English."""

from pathlib import Path

from languages.base import Language
from languages.en.follow_ups import FOLLOW_UPS
from languages.en.intents import INTENTS
from languages.en.knowledge import KNOWLEDGE
from languages.en.sentences import PHRASE, SENTENCES
from languages.en.speech import speakable
from languages.en.tools import SAYINGS, UNDERSTANDING
from languages.en.wording import WORDING

FOLDER = Path(__file__).parent

LANGUAGE = Language(
    "en",
    "English",
    FOLDER,
    wording=WORDING,
    sentences=SENTENCES,
    phrase=PHRASE,
    speakable=speakable,
    intents=INTENTS,
    follow_ups=FOLLOW_UPS,
    hears=UNDERSTANDING,
    says=SAYINGS,
    knowledge=KNOWLEDGE,
    tokens=FOLDER / "whisper_tokens.npy",
)
