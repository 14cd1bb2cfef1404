import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicestack.realtime.serve.mqtt_address import BrokerAddress, Topics
from voicestack.runtime import InputError


@pytest.mark.parametrize(
    "topic",
    ["", "a", "voicestack/text", "voicestack/a/b/text", "voicestack/a b/text", "voicestack/+/text", "voicestack//text",
     "voicestack/a/audio", f"voicestack/{'a' * 65}/text", "other/a/text", "voicestack/a/text/"],
)  # fmt: skip
def test_topics_of_others_are_left_alone(topic: str) -> None:
    """An id is letters, digits, - and _, so that it cannot name another's topic."""
    assert Topics("voicestack").read(topic) is None


@given(st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True))
def test_a_topic_that_is_written_can_be_read(session: str) -> None:
    """Under any prefix of words."""
    assert Topics("home/speech").read(f"home/speech/{session}/control") == (session, "control")


@pytest.mark.parametrize("prefix", ["", "a/", "/a", "a//b", "a+", "#", "$SYS", "a b", "a" * 129])
def test_a_prefix_is_words(prefix: str) -> None:
    """A wildcard in it would subscribe to the topics of others."""
    with pytest.raises(InputError, match="prefix"):
        Topics(prefix)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://localhost", BrokerAddress("localhost", 1883)),
        ("mqtts://me:a%2Fb@[::1]:99/", BrokerAddress("::1", 99, True, "me", "a/b")),
    ],
)
def test_a_broker_is_found_by_its_url(url: str, expected: BrokerAddress) -> None:
    """With TLS, user and password; the latter is not shown."""
    assert BrokerAddress.of(url) == expected
    assert "a/b" not in repr(BrokerAddress.of(url))


@pytest.mark.parametrize(
    "url", ["", "http://a", "mqtt://", "mqtt://a:99999", "mqtt://a/topic", "mqtt://u:secret@", "mqtt://a..b"]
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    """Without telling the password."""
    with pytest.raises(InputError, match="MQTT URL") as failure:
        BrokerAddress.of(url)
    assert "secret" not in str(failure.value)
