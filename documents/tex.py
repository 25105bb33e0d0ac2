"""Formulae in TeX, as language models write them, with the signs that stand for them: "\\frac{1}{2}" is "1/2", "x^{2}" is "x^2".
How signs are said is another matter, and of the language."""

import re
import unicodedata

DEPTH = 4  # of braces within braces

_SIGNS = dict(
    pair.split()
    for pair in (
        "times ×|cdot ·|ast ·|div ÷|pm ±|mp ∓|leq ≤|le ≤|geq ≥|ge ≥|neq ≠|ne ≠|approx ≈|sim ≈|equiv ≡|infty ∞|to →|rightarrow →|"
        "Rightarrow →|longrightarrow →|implies →|in ∈|notin ∉|sum ∑|int ∫|prod ∏|partial ∂|nabla ∇|forall ∀|exists ∃|cup ∪|cap ∩|"
        "subset ⊂|subseteq ⊂|therefore ∴|angle ∠|parallel ∥|perp ⊥|propto ∝|emptyset ∅|ldots …|cdots …|dots …|degree °|circ °|"
        "lt <|gt >"
    ).split("|")
)
_NAMES = frozenset(
    "sin cos tan cot sec csc log ln lg exp lim max min det gcd mod arcsin arccos arctan sinh cosh tanh sup inf".split()
)
_BLANK = frozenset("left right big Big bigg Bigg quad qquad displaystyle limits nolimits hline".split())
_GREEK = {
    name: unicodedata.lookup(f"GREEK {size} LETTER {name.upper().replace('LAMBDA', 'LAMDA')}")
    for names, size in (
        (
            "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi omega",
            "SMALL",
        ),
        ("Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega", "CAPITAL"),
    )
    for name in names.split()
}
_GREEK |= {f"var{name}": _GREEK[name] for name in ("epsilon", "theta", "rho", "sigma", "phi")}
_FRACTION = re.compile(r"\\[dt]?frac ?(?:\{([^{}]{1,80})\} ?\{([^{}]{1,80})\}|(\d)(\d))")
_BRACED = [
    (re.compile(pattern), said)
    for pattern, said in (
        (r"\\sqrt ?\[3\] ?\{([^{}]{1,80})\}", r" ∛\1 "),
        (r"\\sqrt ?\{([^{}]{1,80})\}", r" √\1 "),
        (
            r"\\(?:text(?:bf|it|rm)?|math(?:rm|bf|it|bb|cal|sf)|operatorname|boxed|overline|underline|hat|vec|bar|mbox|emph|ce) ?"
            r"\{([^{}]{0,200})\}",
            r"\1",
        ),
        (r"\\(?:begin|end) ?\{[^{}]{0,40}\}(?:\{[^{}]{0,20}\})?", " "),
        (r"\^ ?\{(-?\w{1,9}|\\circ)\}", r"^\1"),
        (r"\^ ?\{([^{}]{1,80})\}", r"^(\1)"),
        (r"_ ?\{([^{}]{1,80})\}", r" \1 "),
    )
]
_COMMAND = re.compile(r"(?<!\w)[A-Za-z]:\\[^\s]*|\^?\\([A-Za-z]{2,14})(?![A-Za-z])( ?)")  # the first is a path
_INLINE = re.compile(r"(?<![\w$\\])\$(?=[^\s$])([^$\n]{1,200})(?<=[^\s$])\$(?![\w$])")
_DISPLAY = re.compile(r"\\[()\[\]]|(?<!\$)\$\$(?!\$)")
_FORMULA = re.compile(r"[\\^_=<>≤≥≈×·+]|\A[A-Za-z]'?\Z|\A[A-Za-z]\(")
_PROSE = re.compile(r"(?<![\\{A-Za-z])[A-Za-z]{3,}")
_SPACES = re.compile(r"\\[,;:! ]|\\\\(?=\s|$)|(?<=[^\s\w])~")
_KEPT = re.compile(r"\\([%$&#_{}])")


def without_tex(text: str) -> str:
    """`text` with every formula in plain signs. Its delimiters go, as they are no brackets and no dollars; what is no TeX stays."""
    if "$" in text:
        text = _INLINE.sub(_inline, text)
    if "\\" not in text and "$$" not in text and "^{" not in text:
        return text
    text = _SPACES.sub(" ", _DISPLAY.sub(" ", text))
    for _ in range(DEPTH):
        for pattern, said in _BRACED:
            text = pattern.sub(said, text)
        text = _FRACTION.sub(_over, text)
    return _KEPT.sub(r"\1", _COMMAND.sub(_command, text))


def _inline(match: re.Match[str]) -> str:
    inner = match[1]
    words = [word for word in _PROSE.findall(inner) if word not in _NAMES]
    return inner if _FORMULA.search(inner) and not words else match[0]


def _over(match: re.Match[str]) -> str:
    above, below = match[1] or match[3], match[2] or match[4]
    return f" {above}/{below} " if f"{above}{below}".isdigit() else f" {above} ∕ {below} "


def _command(match: re.Match[str]) -> str:
    name = match[1]
    if name is None:
        return match[0]
    raised = "^" if match[0].startswith("^") else ""
    if sign := _SIGNS.get(name):
        return "°" + match[2] if name == "circ" else f"{raised} {sign} "
    if greek := _GREEK.get(name):
        return f"{raised}{greek}{match[2]}"
    if name in _BLANK:
        return " "
    return f"{raised} {name} " if name in _NAMES else match[0]
