"""Abbreviations, units and symbols, and what is said for them."""

UNITS = {
    "km": ("kilometer", "kilometers"), "m": ("meter", "meters"), "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"), "mi": ("mile", "miles"), "ft": ("foot", "feet"),
    "yd": ("yard", "yards"), "kg": ("kilogram", "kilograms"), "g": ("gram", "grams"),
    "mg": ("milligram", "milligrams"), "lb": ("pound", "pounds"), "lbs": ("pound", "pounds"),
    "oz": ("ounce", "ounces"), "l": ("liter", "liters"), "L": ("liter", "liters"),
    "ml": ("milliliter", "milliliters"), "mL": ("milliliter", "milliliters"), "h": ("hour", "hours"),
    "hr": ("hour", "hours"), "hrs": ("hour", "hours"), "min": ("minute", "minutes"),
    "mins": ("minute", "minutes"), "sec": ("second", "seconds"), "secs": ("second", "seconds"),
    "s": ("second", "seconds"), "ms": ("millisecond", "milliseconds"),
    "bn": ("billion", "billion"), "M": ("million", "million"), "k": ("thousand", "thousand"),
    "KB": ("kilobyte", "kilobytes"), "kB": ("kilobyte", "kilobytes"), "kb": ("kilobyte", "kilobytes"),
    "MB": ("megabyte", "megabytes"), "GB": ("gigabyte", "gigabytes"), "TB": ("terabyte", "terabytes"),
    "kbps": ("kilobit per second", "kilobits per second"),
    "Mbps": ("megabit per second", "megabits per second"),
    "Gbps": ("gigabit per second", "gigabits per second"), "Hz": ("hertz", "hertz"),
    "kHz": ("kilohertz", "kilohertz"), "MHz": ("megahertz", "megahertz"), "GHz": ("gigahertz", "gigahertz"),
    "W": ("watt", "watts"), "kW": ("kilowatt", "kilowatts"), "kWh": ("kilowatt hour", "kilowatt hours"),
    "V": ("volt", "volts"), "mph": ("mile per hour", "miles per hour"),
    "km/h": ("kilometer per hour", "kilometers per hour"), "kph": ("kilometer per hour", "kilometers per hour"),
    "m/s": ("meter per second", "meters per second"), "°C": ("degree celsius", "degrees celsius"),
    "°F": ("degree fahrenheit", "degrees fahrenheit"), "°": ("degree", "degrees"), "%": ("percent", "percent"),
    "mo": ("month", "months"), "yr": ("year", "years"), "yrs": ("year", "years"),
    "kcal": ("kilocalorie", "kilocalories"), "dB": ("decibel", "decibels"), "px": ("pixel", "pixels"),
    "fps": ("frame per second", "frames per second"), "USD": ("dollar", "dollars"), "EUR": ("euro", "euros"),
    "tsp": ("teaspoon", "teaspoons"), "tbsp": ("tablespoon", "tablespoons"), "pt": ("pint", "pints"),
    "qt": ("quart", "quarts"), "gal": ("gallon", "gallons"), "psi": ("P S I", "P S I"),
    "rpm": ("R P M", "R P M"), "mpg": ("mile per gallon", "miles per gallon"),
    "mAh": ("milliamp hour", "milliamp hours"),
    "GBP": ("pound", "pounds"), "€": ("euro", "euros"), "£": ("pound", "pounds"),
}  # fmt: skip
"""Unit as written after a number: what is said after one and after another amount."""

NOT_AFTER_SPACE = frozenset("s M V W".split())
"""Units that are one only when glued to their number: `at 5 M` is not five million."""

TITLES = {
    "mr": "mister", "mrs": "missus", "ms": "ms", "dr": "doctor", "prof": "professor", "gen": "general",
    "sen": "senator", "rep": "representative", "gov": "governor", "capt": "captain", "lt": "lieutenant",
    "col": "colonel", "sgt": "sergeant", "rev": "reverend", "hon": "honorable", "st": "saint", "mt": "mount",
    "ft": "fort",
}  # fmt: skip
"""Abbreviations before a name; their full stop never ends a sentence."""

STREETS = {
    "st": "street", "dr": "drive", "ave": "avenue", "blvd": "boulevard", "rd": "road", "ln": "lane", "hwy": "highway",
    "apt": "apartment", "ct": "court", "pl": "place", "sq": "square", "pkwy": "parkway",
}  # fmt: skip

ABBREVIATIONS = {
    "vs": "versus", "e.g": "for example", "i.e": "that is", "etc": "et cetera", "approx": "approximately",
    "jr": "junior", "sr": "senior", "inc": "incorporated", "ltd": "limited", "co": "company",
    "corp": "corporation", "dept": "department", "est": "established", "vol": "volume", "misc": "miscellaneous",
    "tel": "telephone", "ext": "extension", "max": "maximum", "min": "minimum", "avg": "average", "hr": "hour",
    "hrs": "hours", "mins": "minutes", "secs": "seconds", "jan": "january", "feb": "february", "mar": "march",
    "apr": "april", "jun": "june", "jul": "july", "aug": "august", "sept": "september", "sep": "september",
    "oct": "october", "nov": "november", "dec": "december", "mon": "monday", "tue": "tuesday",
    "tues": "tuesday", "wed": "wednesday", "thu": "thursday", "thurs": "thursday", "fri": "friday",
}  # fmt: skip
"""Abbreviations written with a full stop, which ends a sentence only when a sentence can begin after it."""

DAYS_LIKE_WORDS = {"Sat": "saturday", "Sun": "sunday"}
"""Abbreviations only with a full stop where the sentence goes on: `Sat. 5 p.m.`, but `He sat. Then he rose.`"""

DAYS_WITHOUT_STOP = frozenset("Mon Tue Tues Wed Thu Thurs Fri".split())
"""Abbreviations that are no words when they begin with a capital."""

CAPITALISED_ONLY = frozenset("jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thurs fri".split())
LOWER_CASE_ONLY = frozenset("max min avg misc est vol ext hr hrs mins secs".split())
NEVER_LAST = frozenset("vs e.g i.e approx est vol tel ext".split())
"""Abbreviations whose full stop never ends a sentence."""

DOTLESS = {
    "vs": "versus",
    "etc": "et cetera",
    "w/": "with",
    "w/o": "without",
    "c#": "C sharp",
    "f#": "F sharp",
    "c++": "C plus plus",
    "'n'": "and",
    "ios": "I O S",
}
"""What is said for these also without a full stop."""

BEFORE_NUMBER = {
    "no": "number",
    "nos": "numbers",
    "p": "page",
    "pp": "pages",
    "fig": "figure",
    "ch": "chapter",
    "sec": "section",
}
"""Abbreviations only where a number follows."""

SPELLED = frozenset(
    "us it ai uk eu un id os ui ux ip iq pr hr pc tv vr ar ac dc qa ml ev irs atm faq api usb diy eta asap ide "
    "ct led co seo est et roi er pos dob".split()
)
"""Spelled letter by letter when in capitals, though also words (or in the lexicon) in lower case."""

PRONOUNCED = frozenset("nasa opec unicef covid jpeg gif nato lidar sars mers ram rom sim scuba radar yolo".split())
"""Capitals said as a word, whether the lexicon has it or not."""

WORDLESS = frozenset("hmm hm mm mhm shh sh psst pfft brr tsk nth".split())
"""Words without a vowel letter that are not spelled."""

LETTERED_CLASSES = frozenset(
    "plan vitamin type option class grade group point part letter answer section exhibit gate".split()
)
"""Words a single capital comes after: `plan B.` can end a sentence, `J.` before a name cannot."""

ROMAN = {
    "II": "two", "III": "three", "IV": "four", "VI": "six", "VII": "seven", "VIII": "eight", "IX": "nine",
}  # fmt: skip
"""Numbers after a capitalised word: `World War II`."""

SENTENCE_OPENERS = frozenset(
    "The A An It He She They We You I This That These Those In On At If But And So However There Then When What Who "
    "Why How My Your His Her Our Their As For After Before Please Yes No Would Could Should Can Do Does Is Are".split()
)

DAYS_AND_MONTHS = frozenset(
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July August "
    "September October November December EST EDT PST PDT CST MST UTC GMT ET PT CT".split()
)
"""Capitalised words that go on with the sentence after `p.m.`."""

SHORT_MONTHS = frozenset("Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec".split())
CALENDAR = {
    **{name: name.lower() for name in DAYS_AND_MONTHS if name.istitle()},
    **DAYS_LIKE_WORDS,
    **{name: ABBREVIATIONS[name.lower()] for name in (*DAYS_WITHOUT_STOP, *SHORT_MONTHS)},
}
"""Days and months, abbreviated or not; a dash between two of them means `to`."""

STATES = {
    "AL": "alabama", "AK": "alaska", "AZ": "arizona", "AR": "arkansas", "CA": "california", "CO": "colorado",
    "CT": "connecticut", "DE": "delaware", "FL": "florida", "GA": "georgia", "HI": "hawaii", "ID": "idaho",
    "IL": "illinois", "IN": "indiana", "IA": "iowa", "KS": "kansas", "KY": "kentucky", "LA": "louisiana",
    "ME": "maine", "MD": "maryland", "MA": "massachusetts", "MI": "michigan", "MN": "minnesota",
    "MS": "mississippi", "MO": "missouri", "MT": "montana", "NE": "nebraska", "NV": "nevada",
    "NH": "new hampshire", "NJ": "new jersey", "NM": "new mexico", "NY": "new york", "NC": "north carolina",
    "ND": "north dakota", "OH": "ohio", "OK": "oklahoma", "OR": "oregon", "PA": "pennsylvania",
    "RI": "rhode island", "SC": "south carolina", "SD": "south dakota", "TN": "tennessee", "TX": "texas",
    "UT": "utah", "VT": "vermont", "VA": "virginia", "WA": "washington", "WV": "west virginia",
    "WI": "wisconsin", "WY": "wyoming",
}  # fmt: skip
"""What stands behind a city and a comma: `Springfield, IL 62704`."""

STATES_LIKE_WORDS = frozenset("HI IN ME OH OR".split())
"""States only before a zip code or a mark: `Portland, OR.`, but `by Monday, OR else`."""

STATES_BEFORE_ZIP = frozenset("LA MD OK".split())
"""States only before a zip code: `Jane Hill, MD, is in.`, `Thanks, OK.`"""

SYMBOLS = {
    "&": "and",
    "@": "at",
    "+": "plus",
    "=": "equals",
    "%": "percent",
    "×": "times",
    "÷": "divided by",
    "±": "plus or minus",
}
"""What is said for a symbol between words or alone."""
