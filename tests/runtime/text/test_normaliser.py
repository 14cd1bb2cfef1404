"""Raw text to spoken words and pauses; `|` is a sentence end in the tables."""

import pytest

from voicestack.runtime.text import Lexicon, Normaliser, Pause, PlainWord, spoken_form


def said(text: str, lexicon: Lexicon) -> str:
    """What is said for a text, on one line."""
    normaliser = Normaliser(lexicon)
    items = normaliser.push(text) + normaliser.finish()
    return " ".join(
        item.text if isinstance(item, PlainWord) else item.mark if isinstance(item, Pause) else "|" for item in items
    )


def check(text: str, expected: str, lexicon: Lexicon) -> None:
    """One row of a table; the closing `. |` may be left out."""
    assert said(text, lexicon).removesuffix(" . |") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("72 degrees", "seventy two degrees"),
        ("1,204 or 1204.75", "one thousand two hundred and four or one thousand two hundred and four point seven five"),
        ("-5 or −12 or 5 - 3", "minus five or minus twelve or five minus three"),
        (".5 and 1.50", "zero point five and one point five zero"),
        ("007", "zero zero seven"),
        ("1st, 22nd, 3rd and 25th", "first , twenty second , third and twenty fifth"),
        (
            "1/2, 3/4, 2 1/2, 2½, 24/7",
            "one half , three quarters , two and one half , two and one half , twenty four seven",
        ),
        ("40% or 8-10% or 40 %", "forty percent or eight to ten percent or forty percent"),
        ("6-digit, 3-year-old", "six digit , three year old"),
        ("10–20 people", "ten to twenty people"),
        ("10 to 16:9", "ten to sixteen to nine"),
        ("No. 5 and #1", "number five and number one"),
        ("3.11.7 and v2.0", "three dot eleven dot seven and version two point zero"),
        ("the code 482917", "the code four eight two , nine one seven"),
        (
            "12345678901234567",
            "one two three , four five six , seven eight nine , zero one two , three four five , six seven",
        ),
        ("5'10\"", "five foot ten"),
        ("2 + 2 = 4", "two plus two equals four"),
        ("3x or 2x4", "three times or two by four"),
        ("9/11, 9/10, 7/11", "nine eleven , nine out of ten , seven elevenths"),
        ("10 - 15 minutes, 20% – 30%", "ten to fifteen minutes , twenty percent to thirty percent"),
        ("10 - 5 = 5, What is 5 - 10?", "ten minus five equals five , what is five minus ten ? |"),
        ("from 10:00 - 11:00", "from ten o'clock to eleven o'clock"),
        ("call 911 now, area code 212", "call nine one one now , area code two one two"),
        ("PIN: 1234, text 500 people", "pin , one two three four , text five hundred people"),
        ("OTP 482913, extension 4021", "O T P four eight two , nine one three , extension four zero two one"),
        ("takes <5 minutes, >90%", "takes less than five minutes , more than ninety percent"),
        ("≤ 100 kg, ≥5 or >=7, I <3 it", "at most one hundred kilograms , at least five or at least seven , i it"),
        ("a V8 engine, v2, V2.1", "a V eight engine , version two , version two point one"),
    ],
)
def test_numbers(text: str, expected: str, lexicon: Lexicon) -> None:
    """Numbers are said in words, with `and` and without hyphens, as in the training data."""
    check(text, expected, lexicon)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$23.50", "twenty three dollars and fifty cents"),
        ("$89", "eighty nine dollars"),
        ("$1, $1.01 and $0.99", "one dollar , one dollar and one cent and ninety nine cents"),
        ("$1,204.00", "one thousand two hundred and four dollars"),
        ("£5.20 and €3 or 20€", "five pounds and twenty pence and three euros or twenty euros"),
        ("$1.2M-$1.5M", "one point two million dollars to one point five million dollars"),
        ("$5 million, $2.5M", "five million dollars , two point five million dollars"),
        ("-$5", "minus five dollars"),
        ("$10-20, $10–$20", "ten to twenty dollars , ten dollars to twenty dollars"),
        ("$5/month", "five dollars per month"),
        ("$5, million", "five dollars , million"),
        ("€3,50 or 3,50€", "three euros and fifty cents or three euros and fifty cents"),
        ("€1.204,50, €3,5", "one thousand two hundred and four euros and fifty cents , three point five euros"),
        ("3,50 €", "three fifty euros"),
        ("$1,204, 1,204 €", "one thousand two hundred and four dollars , one thousand two hundred and four euros"),
        ("₿5, ₿0.05 and -₿1", "five bitcoins , zero point zero five bitcoins and minus one bitcoin"),
    ],
)
def test_money(text: str, expected: str, lexicon: Lexicon) -> None:
    """Money is said as dollars and cents."""
    check(text, expected, lexicon)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at 3:45 p.m. today", "at three forty five P M today"),
        ("at 3:45pm and 9am", "at three forty five P M and nine A M"),
        ("9 a.m. or 9 AM", "nine A M or nine A M"),
        ("7:05", "seven oh five"),
        ("10:00 or 10:00 a.m.", "ten o'clock or ten A M"),
        ("15:30 and 15:00", "fifteen thirty and fifteen hundred"),
        ("6 o'clock", "six o'clock"),
        ("9 a.m.–5 p.m., 9-5, 9am - 5pm", "nine A M to five P M , nine to five , nine A M to five P M"),
        ("March 14th", "march fourteenth"),
        ("March 14, 2024", "march fourteenth , twenty twenty four"),
        ("Jan. 5 or 14 March", "january fifth or the fourteenth of march"),
        ("12/25/2024", "december twenty fifth twenty twenty four"),
        ("2024-12-25", "december twenty fifth twenty twenty four"),
        ("in 1987", "in nineteen eighty seven"),
        ("in 1905 and in 2005", "in nineteen oh five and in two thousand and five"),
        ("over 1500 people", "over one thousand five hundred people"),
        ("1984 books", "one thousand nine hundred and eighty four books"),
        ("the 1980s and the '90s", "the nineteen eighties and the nineties"),
        ("2019-2021", "twenty nineteen to twenty twenty one"),
        ("the mid-1990s, late-'80s", "the mid nineteen nineties , late eighties"),
        ("Sat. 5 p.m. and Sun. at noon", "saturday five P M and sunday at noon"),
        ("Sat. Jan. 5", "saturday january fifth"),
        ("He sat. Then the Sun. 5 more.", "he sat . | then the sun . | five more"),
        ("At 5 p.m., Anna left", "at five P M , anna left"),
        ("10:30AM, 9:00AM–5:00PM", "ten thirty A M , nine A M to five P M"),
        ("at 3:30P.M.", "at three thirty P M"),
        ("As of 2024, end of 2025", "as of twenty twenty four , end of twenty twenty five"),
        ("one of 1500 people", "one of one thousand five hundred people"),
        ("a total of 2024", "a total of two thousand and twenty four"),
    ],
)
def test_times_and_dates(text: str, expected: str, lexicon: Lexicon) -> None:
    """Times, dates and years are said as in the training data."""
    check(text, expected, lexicon)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("555-0142", "five five five , zero one four two"),
        ("(415) 555-0142", "four one five , five five five , zero one four two"),
        ("1-800-555-0199", "one , eight zero zero , five five five , zero one nine nine"),
        ("+1 415 555 0142", "one , four one five , five five five , zero one four two"),
        (
            "5km, 5 km, 1 kg, 250MB",
            "five kilometers , five kilometers , one kilogram , two hundred and fifty megabytes",
        ),
        ("60 km/h, 20 °C, 72°F", "sixty kilometers per hour , twenty degrees celsius , seventy two degrees fahrenheit"),
        ("m after words, 5 in the morning", "M after words , five in the morning"),
        ("Bake for 20-25 min. Then rest", "bake for twenty to twenty five minutes . | then rest"),
        ("5–10 km, 2-3 hrs, 5-10 lbs", "five to ten kilometers , two to three hours , five to ten pounds"),
        ("2 tsp. of salt, 1 tbsp, 32 psi", "two teaspoons of salt , one tablespoon , thirty two P S I"),
        ("30 mpg, 3,000rpm", "thirty miles per gallon , three thousand R P M"),
    ],
)
def test_phones_and_units(text: str, expected: str, lexicon: Lexicon) -> None:
    """Telephone numbers go digit by digit; a unit is one only after a number."""
    check(text, expected, lexicon)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h 30m, 2h30m, 1h1, 1h 5min, 30m", "two hours thirty minutes , two hours thirty minutes , one hour one minute"
         " , one hour five minutes , thirty meters"),
        ("a 1/4-inch bolt, a 3/4-inch one", "a one quarter inch bolt , a three quarters inch one"),
        ("8/10, 95/100, 1/10, 2 3/10", "eight out of ten , ninety five out of one hundred , one tenth , two and three"
         " tenths"),
        ("10^6, 5^2, 2^-3", "ten to the power of six , five squared , two to the power of minus three"),
        ("8 fl oz, 1,200 sq ft. Big", "eight fluid ounces , one thousand two hundred square feet . | big"),
        ("a 10x12 ft room, 3-5 km", "a ten by twelve feet room , three to five kilometers"),
        ("6 ft 2 in, 1 sq in, 2 in all", "six feet two inches , one square inch , two in all"),
        ("1080p, 12p", "ten eighty P , twelve P"),
    ],
)  # fmt: skip
def test_measures_as_people_write_them(text: str, expected: str, lexicon: Lexicon) -> None:
    """Units of several words, times without colons, shares and powers."""
    check(text, expected, lexicon)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mon-Fri, Tue/Thu, Sat–Sun", "monday to friday , tuesday thursday , saturday to sunday"),
        ("Monday–Friday, May - June", "monday to friday , may to june"),
        ("On Mon, Wed & Fri", "on monday , wednesday and friday"),
        ("He sat. Sat he? The sun", "he sat . | sat he ? | the sun"),
        ("Jan-Mar", "january to march"),
        ("Twin-Sat or May-Fly", "twin sat or may fly"),
    ],
)
def test_days_and_months_without_a_stop(text: str, expected: str, lexicon: Lexicon) -> None:
    """A dash between two of them means `to`, abbreviated or not; what is also a word is one without it."""
    check(text, expected, lexicon)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Harris and Mrs. Lee vs. Mr. Fox", "doctor harris and missus lee versus mister fox"),
        ("415 Oak Dr. near St. Louis", "four hundred and fifteen oak drive near saint louis"),
        ("5th Ave. and 3rd St.", "fifth avenue and third street"),
        ("Springfield, IL 62704.", "springfield , illinois six two seven , zero four"),
        ("Baltimore, MD 21201-1234", "baltimore , maryland two one two , zero one , one two three four"),
        ("From Boston, MA to (Austin, TX).", "from boston , massachusetts to , austin , texas"),
        ("Portland, OR. We know.", "portland , oregon . | we know"),
        ("Gary, IN, and Gary, IN 46402", "gary , indiana , and gary , indiana four six four , zero two"),
        ("By Monday, OR else.", "by monday , or else"),
        ("Thanks, OK. So be it.", "thanks , ok . | so be it"),
        ("HURRY, OR ELSE", "hurry , or else"),
        ("5 Main St. He works.", "five main street . | he works"),
        ("12 St. James St., London", "twelve saint james street , london"),
        ("e.g. this, i.e. that, etc. More", "for example this , that is that , et cetera . | more"),
        ("J. K. Rowling and George W. Bush", "J K rowling and george W bush"),
        ("Take vitamin B. Then rest.", "take vitamin B . | then rest"),
        ("The U.S. Army. The U.S. The end.", "the U S army . | the U S . | the end"),
        ("At 5 p.m. Monday. At 6 p.m. We go.", "at five P M monday . | at six P M . | we go"),
        ("It was 3.5. No. Yes.", "it was three point five . | no . | yes"),
        ("NASA, GPT4, B2B, URLs", "nasa , G P T four , B two B , urls"),
        ("the US and the IT team", "the U S and the I T team"),
        ("I TOLD US ABOUT IT", "i told us about it"),
        ("AT&T, Q&A, rock & roll", "A T and T , Q and A , rock and roll"),
        ("A dog has a plan A", "a dog has a plan A"),
        ("camelCase, snake_case, e-mail, iPhone15", "camel case , snake case , E mail , iphone fifteen"),
        ("and/or w/o C# C++", "and or without C sharp C plus plus"),
        ("World War II", "world war two"),
        ("don't rock 'n' roll 'quoted' y'all", "don't rock and roll quoted y'all"),
        ("- **Paris**: A city\n1. A walk", "paris , a city . | one , a walk"),
        ('Here it is: A walk. "Say," she said, "A friend"', "here it is , a walk . | say , she said , a friend"),
        ("Vitamin A, or: A, B and C. Choose: A or B", "vitamin A , or , A , B and C choose , A or B"),
        ("A CT scan, CO2, LED lights, AB12CD", "a C T scan , C O two , L E D lights , A B twelve C D"),
        ("SEO, 3 PM EST, iOS 17", "S E O , three P M E S T , I O S seventeen"),
        ("NASA, US agencies and CNN US coverage", "nasa , U S agencies and cnn U S coverage"),
        ("The FBI, IT staff. BBC AI tool. CPU, GPU", "the fbi , I T staff . | bbc A I tool . | cpu , G P U"),
        ("STOP IT NOW. I TOLD YOU, IT IS US", "stop it now . | i told you , it is us"),
        ("the U.S.-based firm, the U.S.'s policy", "the U S based firm , the U s's policy"),
        ("In 2024's race the iPhone 15's", "in twenty twenty four's race the iphone fifteen's"),
    ],
)
def test_words(text: str, expected: str, lexicon: Lexicon) -> None:
    """Abbreviations are expanded and do not end sentences by mistake; acronyms are spelled unless they are words."""
    check(text, expected, lexicon)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("**Bold** *it* _x_ `code` ~~no~~ __init__", "bold it X code no init"),
        ("see [the docs](https://x.y/z).", "see the docs"),
        ("a fact[1] here", "a fact here"),
        ("# Title\nText", "title . | text"),
        ("Buy:\n- eggs\n- milk\nDone", "buy . | eggs . | milk . | done"),
        ("1. First\n2. Second", "one , first . | two , second"),
        ("One\n\nTwo\nthree", "one . | two three"),
        ("Run:\n```python\nprint(1)\n```\nDone.", "run . | done"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a , B . | one , two"),
        (
            "mail me@example.com or https://www.example.com/a?b=1",
            "mail me at example dot com or example dot com slash a",
        ),
        ("Great 👍🎉 job! :)", "great job ! |"),
        ("café naïve Zoë ﬁne", "cafe naive zoe fine"),
        ("“Hi,” she—quietly – said: ‘yes’; no", "hi , she , quietly , said , yes , no"),
        ("I like cats.I'm sure.And cats.I know", "i like cats . | i'm sure . | and cats . | i know"),
        ("What?! Wow!!! Well… ok...", "what ? | wow ! | well . | ok"),
        ("...and (so) on", "and , so , on"),
        ("he\x00l\x07lo\x1b", "hello"),
        ("R&amp;D &lt;b&gt;", "R and D"),
        ("ok привет 你好 ok", "ok ok"),
    ],
)
def test_markup_and_symbols(text: str, expected: str, lexicon: Lexicon) -> None:
    """Markdown, emoji, control characters and unknown symbols are not spoken; punctuation folds to four marks."""
    check(text, expected, lexicon)


@pytest.mark.parametrize(
    "text", ["", "😀👍", "\x00\x01", " \n\n ", "... ?! --", "❤️ :)", "\ud83d", "```\nx = 1\n```", "你好"]
)
def test_nothing_to_say(text: str, lexicon: Lexicon) -> None:
    """Text without anything speakable gives nothing at all."""
    assert said(text, lexicon) == ""


def test_source_spelling(lexicon: Lexicon) -> None:
    """The first word said for a piece of text carries its spelling, the others none."""
    normaliser = Normaliser(lexicon)
    items = normaliser.push('"Café," Dr. Li paid $2.50!') + normaliser.finish()
    words = [(item.text, item.source) for item in items if isinstance(item, PlainWord)]
    assert words[:5] == [("cafe", "Café"), ("doctor", "Dr."), ("li", "Li"), ("paid", "paid"), ("two", "$2.50")]
    assert {source for _, source in words[5:]} == {""}


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("-5", "-5"), ("(-5),", "-5"), ("-$5.", "-$5"), (".5", ".5"), ("-.5", "-.5"), ("−5", "−5"), ("-five-", "five"),
        ('"5"', "5"), ("...5", "5"),
    ],
)  # fmt: skip
def test_a_sign_belongs_to_the_spelling_of_its_number(text: str, spelling: str, lexicon: Lexicon) -> None:
    """Punctuation around a word is left out of its spelling, the sign or point of a number is not."""
    normaliser = Normaliser(lexicon)
    items = normaliser.push(text) + normaliser.finish()
    assert [item.source for item in items if isinstance(item, PlainWord)][0] == spelling


def test_spoken_form() -> None:
    """Both sides of a word error rate become the same plain words."""
    assert spoken_form("It's $23.50 at 3:45 p.m., Dr. Li!") == (
        "it's twenty three dollars and fifty cents at three forty five p m doctor li"
    )
    assert spoken_form("Its 9 AM.") == spoken_form("its nine a m")
