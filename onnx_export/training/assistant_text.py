"""Sentences an assistant says: numbers, money, dates, times, names, addresses, confirmations, questions, lists.

Everything is written in words, as the runtime's normaliser would speak it.
"""

import datetime as dt
import random

from num2words import num2words

from voicestack.runtime.text.lexicon import Lexicon

_NAMES = (
    "Emma Liam Olivia Noah Sophia Jacob Maria David Laura Peter Anna Thomas Julia Daniel Sarah Kevin Linda Robert "
    "Alice Henry Grace Oscar Nina Victor Helen George Rachel Martin Diana Simon Karen Frank Megan Carlos Janet Steven"
).split()
_SURNAMES = (
    "Miller Johnson Garcia Brown Davis Wilson Clark Lewis Walker Young Allen King Wright Scott Hill Green Adams Baker "
    "Nelson Carter Mitchell Turner Phillips Campbell Parker Evans Edwards Collins Stewart Morris Murphy Cook Rogers"
).split()
_STREETS = "Main Oak Maple Cedar Park Lake Hill Church River Spring Union Market Station Garden Bridge Mill".split()
_KINDS = "street avenue road lane drive boulevard".split()
_CITIES = (
    "Boston Chicago Denver Seattle Austin Portland London Paris Berlin Madrid Toronto Dublin Houston Phoenix "
    "Atlanta Dallas Detroit Vienna Rome Sydney"
).split()
_THINGS = (
    "order package ticket account message meeting appointment reservation invoice flight payment report password "
    "subscription refund delivery reminder alarm playlist document table room phone laptop calendar question project"
).split()
_ITEMS = (
    "milk bread eggs butter coffee tea apples bananas rice chicken cheese tomatoes onions sugar salt flour "
    "paper soap batteries pasta olives carrots potatoes yogurt honey lemons"
).split()
_VERBS = "check change cancel confirm move send open close find start stop share print update review schedule".split()
_WEATHER = "sunny cloudy rainy windy foggy snowy warm cold humid clear".split()
_OPENERS = (
    "Sure.",
    "Of course.",
    "Okay.",
    "Great.",
    "No problem.",
    "All right.",
    "Thanks for waiting.",
    "Got it.",
    "Yes.",
    "I'm sorry.",
    "Good morning.",
    "Good evening.",
    "Hello.",
    "Hi there.",
    "Perfect.",
    "Just a moment.",
    "Well,",
    "So,",
)
_PHRASES = (
    "Yes.", "No.", "Okay.", "Thank you.", "You're welcome.", "Good night.", "See you tomorrow.", "Please wait.",
    "One moment.", "I don't know.", "That's right.", "Really?", "Are you sure?", "Stop!", "What time is it?", "Hello!",
    "Goodbye.", "Maybe later.", "Why not?", "Be careful!", "It's done.", "Not yet.", "How are you?", "Welcome back.",
)  # fmt: skip
_TEMPLATES = (
    "Your {thing} is ready.", "Your {thing} will arrive on {date}.", "Would you like me to {verb} the {thing}?",
    "I can {verb} your {thing} for you.", "The total comes to {money}.", "That will be {money}, please.",
    "It is {time} now.", "Your {thing} is at {time} on {day}.", "Is {time} on {day} okay for you?",
    "The {thing} with {name} has been moved to {time}.", "I've set an alarm for {time}.", "Shall I call {name}?",
    "{first} sent you a message about the {thing}.", "I found {n} results for {city}.", "The temperature in {city} is {n} degrees.",
    "Tomorrow will be {weather} with a high of {n} and a low of {n}.", "There is a {n} percent chance of rain in {city}.",
    "The address is {n} {street}, {city}.", "Please go to {n} {street}.", "Your confirmation code is {spelled}.",
    "The code is {digits}.", "The number is {digits}.", "Call us at {digits}.", "Your room number is {n}.",
    "I added {item}, {item} and {item} to your list.", "Do you want {item} or {item}?", "We have {item}, {item}, {item} and {item}.",
    "Can I help you with anything else?", "What would you like to do next?", "How many {item} do you need?",
    "The meeting starts at {time}, and it ends at {time}.", "Your flight to {city} leaves at {time} from gate {n}.",
    "The price went from {money} to {money}.", "You have {n} new messages.", "There is no other {thing} for today.",
    "{first}, your {thing} has been cancelled.", "Did you mean {name} or {name}?", "That's {first}, spelled {spelled}.",
    "I was born on {date}.", "The {thing} is due on {date}.", "It takes about {n} minutes to get to {city}.",
    "The {ordinal} {thing} is from {first}.", "Turn left after {n} meters, then turn right on {street}.",
    "Sorry, I didn't catch that. Could you repeat the {thing}?", "Which {thing} do you mean, the {ordinal} or the {ordinal}?",
    "The answer is {n}.", "{n} plus {n} is {n}.", "In {year}, {city} had {big} people.", "It weighs {n} point {n} pounds.",
    "Could you please tell me your name and the date of your {thing}?", "Who is calling, please?", "When did you {verb} the {thing}?",
    "Where is the nearest station in {city}?", "Why was the {thing} late?", "Please {verb} the {thing} before {time}.",
    "Let me {verb} that for you, {first}.", "I'm afraid the {thing} is not available on {day}.", "Don't forget to {verb} the {thing}!",
    "Here is the {thing} you asked for.", "If you want to {verb} it, say yes.", "The train from {city} to {city} is {n} minutes late.",
    "I have a table for {n} at {time}. Would that work?", "Your balance is {money}.", "We open at {time} and close at {time}.",
)  # fmt: skip


class AssistantText:
    """An endless, seeded source of assistant sentences."""

    def __init__(self, lexicon: Lexicon, generator: random.Random) -> None:
        self._lexicon = lexicon
        self._random = generator
        self._rare = [word for word in lexicon if len(word) > 2 and "'" not in word]

    def sentence(self) -> str:
        """One utterance of one or two sentences, a short phrase, or a list of words that stretches the lexicon."""
        draw = self._random.random()
        if draw < 0.06:
            return self._pick(_PHRASES)
        if draw < 0.20:
            return self._word_list()
        text = self._filled(self._pick(_TEMPLATES))
        if self._random.random() < 0.25:
            text = f"{self._pick(_OPENERS)} {text}"
        elif self._random.random() < 0.2:
            text = f"{text} {self._filled(self._pick(_TEMPLATES))}"
        return text

    def _pick(self, options: tuple[str, ...] | list[str]) -> str:
        return self._random.choice(options)

    def _word_list(self) -> str:
        count = self._random.randint(1, 6)
        comma = ", " if self._random.random() < 0.5 else " "
        text = comma.join(self._random.sample(self._rare, count))
        return text[0].upper() + text[1:] + self._pick([".", ".", "?", "!"])

    def _filled(self, template: str) -> str:
        while "{" in template:
            start, end = template.index("{"), template.index("}")
            value = getattr(self, "_slot_" + template[start + 1 : end])()
            template = template[:start] + value + template[end + 1 :]
        return template[0].upper() + template[1:]

    def _slot_thing(self) -> str:
        return self._pick(_THINGS)

    def _slot_item(self) -> str:
        return self._pick(_ITEMS)

    def _slot_verb(self) -> str:
        return self._pick(_VERBS)

    def _slot_weather(self) -> str:
        return self._pick(_WEATHER)

    def _slot_city(self) -> str:
        return self._pick(_CITIES)

    def _slot_first(self) -> str:
        return self._pick(_NAMES)

    def _slot_name(self) -> str:
        return f"{self._pick(_NAMES)} {self._pick(_SURNAMES)}"

    def _slot_street(self) -> str:
        return f"{self._pick(_STREETS)} {self._pick(_KINDS)}"

    def _slot_n(self) -> str:
        return spoken(self._random.choice([self._random.randint(1, 20), self._random.randint(1, 999)]))

    def _slot_big(self) -> str:
        return spoken(self._random.randint(1, 2000) * self._random.choice([100, 1000, 5000]))

    def _slot_year(self) -> str:
        return spoken(self._random.randint(1900, 2035), "year")

    def _slot_ordinal(self) -> str:
        return spoken(self._random.randint(1, 31), "ordinal")

    def _slot_money(self) -> str:
        whole, cents = self._random.randint(1, 300), self._random.choice([0, 0, 50, 99, self._random.randint(1, 99)])
        text = f"{spoken(whole)} dollar{'s' if whole != 1 else ''}"
        return text if not cents else f"{text} and {spoken(cents)} cent{'s' if cents != 1 else ''}"

    def _slot_time(self) -> str:
        hour, minute = self._random.randint(1, 12), self._random.choice([0, 15, 30, 45, self._random.randint(1, 59)])
        middle = "" if not minute else (" oh " if minute < 10 else " ") + spoken(minute)
        return (
            spoken(hour) + middle + self._pick([" A M", " P M", " P M", ""] if minute else [" A M", " P M", " o'clock"])
        )

    def _slot_day(self) -> str:
        return self._pick(["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"])

    def _slot_date(self) -> str:
        day = dt.date(2024, 1, 1) + dt.timedelta(days=self._random.randint(0, 365))
        weekday = f"{day:%A}, " if self._random.random() < 0.3 else ""
        return f"{weekday}{day:%B} {spoken(day.day, 'ordinal')}"

    def _slot_digits(self) -> str:
        digits = [self._random.randint(0, 9) for _ in range(self._random.choice([4, 6, 7]))]
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        return ", ".join(" ".join(spoken(digit) for digit in group) for group in groups)

    def _slot_spelled(self) -> str:
        return " ".join(self._random.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(self._random.randint(3, 5)))


def spoken(number: int, kind: str = "cardinal") -> str:
    """A number in American words without hyphens: 1984 -> `one thousand nine hundred and eighty four`."""
    words: str = num2words(number, to=kind)
    return words.replace("-", " ").replace(",", "")
