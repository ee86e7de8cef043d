"""Every sentence of its own that the offline voice can say. The rest comes from passages, tenants and tools.

Several wordings of one thing take turns, by a count and not by chance, so that a conversation can be told beforehand.
American English only; a tenant of another language is better served by a model that speaks it.
"""

from typing import Any

PHRASES: dict[str, tuple[str, ...]] = {
    # Small talk
    "hello": ("Hello! How can I help you?", "Hi there. What can I do for you?"),
    "how_are_you": ("I'm doing well, thank you for asking. How can I help you?",),
    "welcome": ("You're welcome. Is there anything else?", "My pleasure. Anything else I can do?"),
    "goodbye": ("Thank you for calling {name}. Goodbye!",),
    "bye_undone": ("All right, then I have not done that. Thank you for calling {name}. Goodbye!",),
    "who": (
        "I'm the automated assistant of {name}, not a person. I can answer questions and pass things on to the team.",
    ),
    "business": ("You've reached {name}. I'm the automated assistant here.",),
    "wait": ("Of course, take your time.", "Sure, I'll be right here."),
    "acknowledged": ("All right. Is there anything else?", "Okay. What else can I do for you?"),
    "what_else": ("Sure, what can I do for you?", "Of course. What is it?"),
    "never_mind": ("No problem. Is there anything else?", "All right, never mind that. What else can I do?"),
    # Understanding
    "not_caught": (
        "Sorry, I didn't catch that. Could you say it again?",
        "I'm sorry, I still didn't get that. Could you say it another way?",
    ),
    "nothing_to_repeat": ("I haven't said anything yet. How can I help you?",),
    "again": ("Of course. {text}", "Sure. {text}"),
    "complaint": (
        "I'm sorry about that. Could you say it in a few simple words?",
        "I'm sorry, I'm not getting it right.",
    ),
    "hard_of_hearing": ("I'm sorry, I'm having trouble understanding you.",),
    "unknown": (
        "I don't have that in front of me. Shall I take a message?",
        "I'm afraid I don't know that one. Shall I take a message for the team?",
    ),
    "unknown_alone": (
        "I don't have that in front of me, I'm sorry. Is there anything else?",
        "I'm afraid I don't know that one. What else can I do for you?",
    ),
    "unknown_here": ("I don't have that in front of me, I'm sorry.", "I'm afraid I don't know that one."),
    "one_by_one": ("One thing at a time: please ask me the other one again after this.",),
    "offer_message": ("Shall I take a message?", "Would you like to leave a message for the team?"),
    "no_offer": ("Please call again a little later, and the team will help you.",),
    # People
    "put_through": ("I'm putting you through to {person} now. One moment, please.",),
    "offer_person": ("Shall I put you through to {person}?",),
    "which_person": ("I can put you through to {people}. Who would you like?",),
    "no_person": ("There's nobody I can put you through to.",),
    "not_put_through": ("I'm sorry, I couldn't put you through just now.",),
    # Asking for what is missing
    "begin": ("Sure.", "Of course.", "Happy to help with that."),
    "noted": ("Okay.", "Got it.", "All right."),
    "ask_day": ("What day would you like?", "Which day suits you?"),
    "ask_day_again": ("Which weekday or date would you like?", "What weekday or date would that be?"),
    "ask_time": ("What time would you like?", "And what time suits you?"),
    "ask_name": ("May I have your name, please?", "And what is your name?"),
    "ask_phone": ("What number can the team reach you on?", "What's the best number for you?"),
    "offer_number": ("Shall I put down the number you're calling from, ending in {ending}?",),
    "ask_message": ("What would you like me to tell the team?", "What should I tell them?"),
    "ask_count": ("How many?",),
    "ask_choice": ("Which would you like: {choices}?",),
    "day_needs_date": ("Sorry, which weekday or date is that?",),
    "more_digits": ("I have {digits} so far. What's the rest of the number?",),
    "not_fitting": ("Sorry, I didn't get that.", "Sorry, I didn't quite get that."),
    # Confirming
    "read_back": ("So that's {summary}. Is that right?", "Let me read that back: {summary}. Is that right?"),
    "confirm_please": ("Shall I go ahead with that, yes or no?", "Is that right, yes or no?"),
    "confirm_again": ("And what I read to you, shall I go ahead with it?",),
    "what_to_change": ("Okay, what should I change?", "What should I change?"),
    "cancelled": ("All right, I've dropped that. Is there anything else?", "Okay, I won't do that. Anything else?"),
    # What tools say
    "working": ("I'm on it, one moment.", "Just a moment, I'm still on it."),
    "anything_else": ("Is there anything else?", "Anything else I can do for you?"),
    "message_kept": ("I've written that down, and the team will call you back.",),
    "done": ("That's done.",),
    "failed": ("I'm sorry, that didn't work just now.",),
    "call_back": ("I'm sorry, that didn't work just now. The team has been told, and someone will call you back.",),
    "refused": ("I'm sorry, that isn't possible.",),
    "open_now": ("Yes, we're open right now.",),
    "closed_now": ("We're closed right now.",),
    "hours_unknown": ("I don't have the opening hours in front of me.",),
    "cannot_do": ("I'm sorry, I can't do that from here.",),
}


def phrase(key: str, count: int = 0, /, **parts: Any) -> str:
    """The wording for this ``count``, with its parts filled in."""
    wordings = PHRASES[key]
    return wordings[count % len(wordings)].format(**parts)


def listed(names: list[str], word: str = "or") -> str:
    """``a, b or c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}" if names else ""
