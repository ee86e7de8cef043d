"""What is remembered of invitations: as much as somebody could still ask for."""

from engine.server.invitations import FRESH_S, Invitations
from engine.wire.stream_token import StreamTokens


def test_an_invitation_is_told_again_while_it_is_fresh_and_then_forgotten() -> None:
    invitations = Invitations(StreamTokens("a secret of more than thirty-two bytes", clock=lambda: 0.0))
    for number in range(100):
        invitations.remember(f"CA{number}", f"<Response>{number}</Response>", request_id="I1", now=float(number))
    assert invitations.standing("CA99", now=99.0 + FRESH_S) == "<Response>99</Response>"
    assert invitations.repeated("CA80", "I1", now=100.0) == "<Response>80</Response>"
    assert invitations.standing("CA10", now=100.0) is None
    assert len(invitations._last) == FRESH_S + 1


def test_one_that_is_given_anew_is_as_fresh_as_that() -> None:
    invitations = Invitations(StreamTokens("a secret of more than thirty-two bytes", clock=lambda: 0.0))
    invitations.remember("CA1", "first", request_id="", now=0.0)
    invitations.remember("CA2", "other", request_id="", now=FRESH_S - 1)
    invitations.remember("CA1", "second", request_id="", now=FRESH_S)
    invitations.remember("CA3", "third", request_id="", now=FRESH_S + 2)
    assert invitations.standing("CA1", now=FRESH_S + 2) == "second"
    assert invitations.standing("CA2", now=FRESH_S + 2) == "other"
