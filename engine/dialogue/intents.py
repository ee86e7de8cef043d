"""What does the caller want? Read from recognised text by patterns, since there is no model to ask. PURE.

A pattern looks for whole words in what ``words.plain`` makes of the text; what none of them knows is a question for the
passages.
"""

import re
from enum import StrEnum

from engine.dialogue.replies import is_no, is_yes
from engine.dialogue.words import plain, word_set


class Intent(StrEnum):
    """What an utterance is about, as far as words alone tell."""

    GREETING = "greeting"
    HOW_ARE_YOU = "how_are_you"
    THANKS = "thanks"
    GOODBYE = "goodbye"
    REPEAT = "repeat"
    WAIT = "wait"
    PERSON = "person"
    MESSAGE = "message"
    BOOK = "book"
    FREE_SLOTS = "free_slots"
    FIND_BOOKING = "find_booking"
    HOURS = "hours"
    WHO_ARE_YOU = "who_are_you"
    WHICH_BUSINESS = "which_business"
    NEVER_MIND = "never_mind"
    COMPLAINT = "complaint"
    YES = "yes"
    NO = "no"
    QUESTION = "question"


_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?"
_THING = r"(?:appointment|visit|table|reservation|booking|check ?up|cleaning|slot|spot|time|plumber|consultation)"
_WANT = r"(?:(?:i|we)(?:'d| would) (?:like|love)|(?<!do )(?:i|we) (?:want|need)|(?:can|could|may) (?:i|we))"
_OPENERS = word_set("um uh er hmm well so oh okay ok alright right great perfect and yeah please now")

# The whole utterance, once "um", "okay" and the like are taken off its beginning.
_WHOLE: dict[Intent, tuple[str, ...]] = {
    Intent.WAIT: (
        r"(?:just )?(?:hold on|hang on|wait|(?:one|a) (?:moment|second|sec|minute))(?: please| a \w+)*",
        r"(?:give me|just) a (?:sec|second|moment|minute)(?: please)?",
        r"let me (?:check|see|think|look)[\w ]*",
    ),
    Intent.REPEAT: (
        r"(?:sorry|pardon|pardon me|excuse me|what|sorry what|what's that|huh|come again|again|once more)(?: please)?",
        r"(?:sorry |i'm sorry )?what was that(?: again)?",
        r"say (?:again|what)(?: please)?",
    ),
    Intent.GREETING: (
        r"(?:hello|hi|hey|good morning|good afternoon|good evening|good day)(?: (?:there|again|hello|hi))*",
    ),
    Intent.NEVER_MIND: (
        r"(?:no )?(?:never ?mind|forget (?:it|that|about it)|cancel(?: that| it)?|scratch that)(?: please| then)?",
        r"(?:leave it|stop(?: it| that)?|drop it|doesn't matter|i changed my mind)(?: please| then)?",
    ),
}
# Anywhere in the utterance; the first that is met counts.
_WITHIN: dict[Intent, tuple[str, ...]] = {
    Intent.COMPLAINT: (
        r"you (?:don't|didn't|do not|did not|aren't|can't) (?:understand|get|hear|listening)\w*",
        r"not what i (?:asked|said|meant)",
        r"you(?:'re| are) not (?:listening|understanding)",
        r"this (?:isn't|is not) working",
        r"useless",
    ),
    Intent.REPEAT: (
        r"(?:say|repeat|tell me) (?:that|it|this) (?:again|once more|one more time)",
        r"(?:can|could|would) you repeat",
        r"repeat (?:that|it|please)",
        r"didn't (?:catch|get|hear) (?:that|it|you)",
        r"what did you say",
    ),
    Intent.WHO_ARE_YOU: (
        (
            r"(?:are you|is this|am i (?:talking|speaking) (?:to|with)) (?:a |an |really )*"
            r"(?:real|human|robot|machine|computer|bot|ai|person|recording|automated|assistant)"
        ),
        r"who are you",
        r"what are you$",
        r"who am i (?:talking|speaking) (?:to|with)",
        r"what(?:'s| is) your name",
    ),
    Intent.WHICH_BUSINESS: (
        r"is this (?:the )?(?!a |an |the |right|for |about |how |what |where |still )(?=\w+ ?\w* ?\w*$)",
        r"(?:which|what) (?:business|company|place|office) is this",
        r"(?:have i|did i) (?:reach|reached|call|called|get|got)",
        r"who have i (?:called|reached)",
    ),
    Intent.FIND_BOOKING: (
        rf"(?:when|what time|what day) (?:is|was|did i (?:make|book)) my (?:next )?(?:\w+ )?{_THING}",
        rf"(?:do|did) i have an? {_THING}",
        rf"(?:look up|find|check) my {_THING}",
        r"when am i (?:booked|coming in|scheduled)",
    ),
    Intent.PERSON: (
        r"(?:speak|talk)(?:ing)? (?:to|with)(?! me about)",
        r"(?:connect|transfer|patch|put) (?:me|us) (?:through|on|over|in touch|with)",
        r"put my call through",
        r"(?:transfer|connect) me",
        r"(?:real|actual|live|human) (?:person|human|being|receptionist)",
        r"a human",
        r"an operator",
        r"get me (?:the |a )?(?:manager|person|human|somebody|someone)",
        r"is the \w+ (?:there|in|available)$",
    ),
    Intent.MESSAGE: (
        r"(?:leave|take|pass on|send|give (?:him|her|them)) (?:a |the |my |you |him |her |them )*message",
        r"(?:tell|let) (?!me |us |you )(?:the |doctor |dr )?\w+ (?:know )?(?:that|i|i'm|we|we're)",
        r"(?:call|ring|phone) me back",
        r"have (?:some(?:one|body)|them|him|her) call",
    ),
    Intent.FREE_SLOTS: (
        (
            r"(?:what|which) (?:\w+ )?(?:times?|slots?|appointments?|openings?)(?: \w+)? "
            r"(?:are |do you have |have you got )?(?:free|open|available|left)"
        ),
        (
            r"(?:do you have|have you got|is there|are there|got) (?:any ?thing|any|some ?thing|an) "
            rf"(?:\w+ )?(?:free|open|openings?|availability|available|appointments?|slots?|{_DAY})"
        ),
        r"(?:do you|would you|have you) (?:still )?(?:have|got) an? (?:table|slot|spot|appointment|opening)",
        r"when (?:is|are) (?:your |the )?(?:next|first|earliest)",
        r"(?:next|earliest|first) (?:free|available)",
        r"when (?:can|could) (?:i|you|we|some(?:one|body)|a plumber) (?:come|get in|fit|be seen)",
    ),
    Intent.BOOK: (
        (
            r"(?:book|schedule|reserve|arrange|set up|make) (?:\w+ ){0,4}?(?:an? |the |my |our |another )?"
            rf"(?:\w+ )?{_THING}"
        ),
        (
            rf"{_WANT} (?:please )?(?:to )?(?:have|get|make|book|schedule|reserve|come in) (?:an? |the |my |our )?"
            rf"(?:\w+ ){{0,2}}?(?:{_THING}|for (?:an?|the|my))"
        ),
        rf"{_WANT} (?:an? |another )(?:\w+ )?{_THING}",
        r"book (?:me|us|in|him|her)",
        r"to book$",
        r"(?:i'd like|i want|i need|can i|could i) (?:to )?(?:come in|be seen)",
        r"(?:send|need|want) (?:\w+ )?(?:a plumber|somebody out|someone out|somebody over|someone over)",
        r"(?:get|have|need|want|send) (?:a plumber|someone|somebody) (?:to )?(?:come|look|out|over)",
        r"(?:can|could) (?:you|someone|somebody|a plumber) come (?:out|over|now|today|tomorrow|on|at|by|this)",
    ),
    Intent.HOURS: (
        r"(?:opening |business |office |your )hours",
        r"(?:when|until when|how late|how early|what time|till what time)(?: \w+){0,3} (?:open|close|closing|shut)",
        r"are you (?:guys |still |also |even |ever )*(?:open|closed|there)(?! (?:late|to))",
        r"you(?:'re| are)? open",
        rf"(?:open|closed?) (?:(?:on|this|at|after|before|until|till) )?(?:{_DAY}|today|tomorrow|tonight)",
        r"(?:open|closed) (?:right )?now",
        r"(?:open|closed?) (?:on |at |over |after |for )?(?:the )?(?:weekends?|noon|lunch)",
        r"is (?:the )?(?:office|practice|restaurant|shop|store|place) open",
    ),
    Intent.HOW_ARE_YOU: (r"how are you(?: doing)?(?: today)?$", r"how's it going$"),
    Intent.GOODBYE: (
        r"good ?bye",
        r"^bye",
        r"bye(?: bye| now)?$",
        r"see you (?:then|soon|later|tomorrow)$",
        r"talk to you (?:later|soon)",
        r"have a (?:good|nice|great) (?:day|one|evening|weekend|night|afternoon)",
        (
            r"(?:that's|that is|that was|that'll be|that will be) (?:all|it|everything)"
            r"(?: for now| i needed| thanks| thank you)*$"
        ),
        r"nothing else",
    ),
    Intent.NEVER_MIND: (
        r"never ?mind",
        r"forget (?:it|about it)",
        r"cancel (?:that|this|it)",
        r"i changed my mind",
        r"scratch that",
        r"don't (?:bother|book (?:it|that|anything)|want (?:it|that|to) (?:anymore|any more))",
    ),
    Intent.THANKS: (
        (
            r"^(?:thank you|thanks|many thanks|cheers|appreciate it|i appreciate it)"
            r"(?: (?:so|very|much|a|lot|for|your|help|again|that|all|the|you|thanks|thank))*$"
        ),
    ),
}


def _within(alternatives: tuple[str, ...]) -> re.Pattern[str]:
    """Between the beginnings and the ends of words; ``^`` is the utterance's first word."""
    joined = "|".join(alternative.replace("^", "(?<=^ )") for alternative in alternatives)
    return re.compile(rf"(?<= )(?:{joined})(?:(?<= )|(?![\w']))")


_WHOLE_RE = {intent: re.compile(f"^ (?:{'|'.join(alternatives)})$") for intent, alternatives in _WHOLE.items()}
_WITHIN_RE = {intent: _within(alternatives) for intent, alternatives in _WITHIN.items()}


def intent_of(text: str) -> Intent:
    """What the utterance is, taken by itself. ``QUESTION`` where no pattern fits, also for what is no question."""
    words = plain(text)
    while len(words) > 1 and words[0] in _OPENERS:
        words = words[1:]
    bare = f" {' '.join(words)}"
    for patterns, find in ((_WHOLE_RE, re.Pattern.match), (_WITHIN_RE, re.Pattern.search)):
        for intent, pattern in patterns.items():
            if find(pattern, bare):
                return intent
    if is_yes(text):
        return Intent.YES
    return Intent.NO if is_no(text) and len(words) <= 4 else Intent.QUESTION
