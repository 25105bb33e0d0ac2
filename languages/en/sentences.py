"""How English sentences end, and where speech may pause in one."""

import re

from languages.sentences import Sentences, ShortForms

_MONTHS = "jan feb mar apr jun jul aug sep sept oct nov dec"
_DAYS = "mon tue tues wed thu thurs fri sat sun"
SENTENCES = Sentences(
    ShortForms(
        # What nupunkt's model does not know for a short form of spoken English.
        known=frozenset(
            ("cf", "cmdr", "cu", "excl", "ext", "lt", "max", "mins", "mlle", "mme", "mph", "rpm", "tbs", "viz", "wk", "yrs")
        ),
        # Of the model's short forms, which it learned from scanned files of courts, those that CMUdict has as words and that
        # nobody writes with a full stop.
        none=frozenset(
            "accent add ago airfoil alike all aloud am amen an anarchy append applause arcade ark arrows asses awry axe aye bail "
            "bank barn bat bed bee ben bin biting black bleak blip bloomer bold bombed bond book bow brash bro broad bull bump bus "
            "call can cancer canst cap car carpenter cent century chaos chase cheerful chest chip civilization cliff climb closes "
            "coal cod code cold condo cooler coop cow crazy cunt curt day deserved dig dill divide doves drunk dud dull dumb dusk "
            "embayment encyclopedia enter equal excitation farce fiat fin fish fist flag flake flip flourish found free galaxies "
            "gall gig gild girt glaucoma gracefully gunpoint hall hand hard harp hay heave helper hemp hen hers hip hook horse "
            "how hug hum human humph ill imp intestine italic jerky joke just keg knees lab lack laughter lazy lead leg life "
            "limp liter lock loot low luck magnetically mankind memo mend met metro midi misplaced mistletoe month mum nary neb "
            "nonsense nope offline ok okay openers or oranges ore ouch overt parade park pen penne penny pick pimp pin pinhole "
            "pop port pot powwow prep prop pub putty rash raw refrigeration rehab reporter reproach rest resurrection rich riven "
            "rob roll rota rounds row ruin ruined sand sane saw scam scandal scatter shade shears shrug sick sip sit sleep sneeze "
            "so soar south splash spool spruce stake steed stew stock story sum sunning super tailwind tale talent tasks tax ten "
            "thanks thinner toil trench tuck unforgiving unquote untouched uptick vain vase vet vibe vise vodka walk wall wane "
            "wash wave weave week wend west wheat wheel whites wig will win wings wintertime wisely wool works wrath yap yard yea "
            "yep yup years tables oils tears bikes".split()
        ),
        before_numbers=frozenset("no nos p pp vol fig figs eq sec ch art ver rm ext tel ca approx max min".split()),
        leading=frozenset("i.e e.g p.s excl incl cf viz vs mr mrs ms messrs msgr".split()),
        closing=frozenset(f"a.m p.m etc no nos fig figs art sec ch vol max min {_MONTHS} {_DAYS}".split()),
        beside=frozenset(
            f"{_MONTHS} {_DAYS} january february march april may june july august september october november december monday "
            "tuesday wednesday thursday friday saturday sunday est edt et cst cdt ct mst mdt mt pst pdt pt gmt utc bst cet cest "
            "eastern central mountain pacific greenwich".split()
        ),
        lettered=frozenset(
            "plan vitamin option type grade group part section point team class drive hepatitis exhibit appendix level gate door "
            "platform building block answer step column row figure table size letter key note side channel terminal".split()
        ),
    ),
    starters=frozenset(
        "the it then this that these those he she we they you but and so if in what when how there my your our is are do "
        "does".split()
    ),
    letters=frozenset({"I"}),
)
# The gap before a word that a phrase begins with, but not the one behind "Dr."
PHRASE = re.compile(
    r"(?<!\.)\s(?=(?:and|but|or|because|which|that|who|when|while|where|if|as|to|in|on|at|for|with|from|by|into)\s)"
)
