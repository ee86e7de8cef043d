"""Is there anything in this to look up? PURE.

An utterance is small talk only when it consists of nothing but the phrases below, so a question with a greeting
before it never is. When in doubt it is not: a search for nothing is cheap, an answer without its notes is wrong.
"""

from engine.retrieval.words import plain

_PHRASES = (
    "ah|aha|all good|all right|alright|and you|anyway|awesome|bye|bye bye|bye now|can you hear me|cheers|cool|correct|"
    "erm|exactly|excellent|excuse me|fantastic|fine|fine thanks|fine thank you|glad to hear|good|good afternoon|"
    "good bye|good day|good evening|good morning|good night|goodbye|got it|great|great thanks|ha|have a good day|"
    "have a good evening|have a good one|have a great day|have a nice day|have a nice evening|have a nice weekend|"
    "hello|hello again|hey|hi|hi there|hello there|hm|hmm|hold on|hold on a second|hold on please|how are you|"
    "how are you doing|how are you today|i am|i am fine|i am good|i appreciate it|i see|i understand|i will|"
    "i'm fine|i'm good|just a moment|just a second|lovely|makes sense|mhm|mm|mm hm|mm hmm|mmhm|my pleasure|never mind|"
    "nice|nice to meet you|nice to talk to you|no|no thank you|no thanks|no that's all|no that's it|nope|not really|"
    "nothing else|of course|oh|oh okay|ok|okay|one moment|one moment please|one second|perfect|please|please do|"
    "right|see you|see you soon|see you then|so|sorry|sorry about that|sounds good|super|sure|sure thing|"
    "take care|talk to you later|thank you|thank you for your help|thank you so much|thank you very much|thanks|"
    "thanks a lot|thanks a million|thanks again|thanks for your help|thanks so much|that is all|that is it|"
    "that sounds good|that sounds great|that was all|that will be all|that works|that'll be all|that's all|"
    "that's all for now|that's all i needed|that's fine|that's good|that's great|that's it|that's perfect|"
    "that's right|the same to you|uh|uh huh|um|very good|wait|wait a moment|wait a second|well|what|wonderful|wow|"
    "ya|yeah|yep|yes|yes it is|yes please|yes that's right|you are welcome|you as well|you have been very helpful|"
    "you too|you're welcome|you've been very helpful|yup"
)
_KNOWN = frozenset(tuple(plain(phrase).split()) for phrase in _PHRASES.split("|"))
_LONGEST = max(map(len, _KNOWN))


def is_small_talk(text: str) -> bool:
    """Whether nothing is asked: ``Okay, thank you, bye!`` is small talk, ``Hello, are you open?`` is not.

    Empty text is not: then nothing was understood, which is another matter.
    """
    said = plain(text).split()
    # ends[i]: the first i words can be cut into known phrases.
    ends = [True] + [False] * len(said)
    for end in range(1, len(said) + 1):
        starts = range(max(0, end - _LONGEST), end)
        ends[end] = any(ends[start] and tuple(said[start:end]) in _KNOWN for start in starts)
    return bool(said) and ends[-1]
