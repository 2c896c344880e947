"""Sentences with and without personal data, as speech recognisers would write them.

Everything is made up here: templates, names, numbers. The templates, names and places of
``dev``, which the recognition was tuned on, and of ``test`` have nothing in common.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from ml.options import PiiPolicy
from ml.text.pii.finders import has_check_digit

Half = Literal["dev", "test"]

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = (
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
    "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth",
    "eighteenth", "nineteenth", "twentieth",
)  # fmt: skip

_FIRST: dict[Half, str] = {
    "dev": "Maria Kevin Aisha Wei Olga Hans Priya Jamal Sofia Tom Chloe Rajesh Emily Carlos Yuki "
    "Fatima Liam Ngozi Peter Linda",
    "test": "Daniel Amara Mei Sven Leila Gabriel Nadia Kwame Hannah Diego Ivan Zainab Oscar Ananya "
    "Patrick Rosa Kenji Sarah Tunde Elena Michael Xiomara Bogdan Grace Hiroshi",
}
_LAST: dict[Half, str] = {
    "dev": "Lopez Brown Khan Zhang Ivanova Schmidt Patel Johnson Rossi Baker Martin Gupta Clark "
    "Ramirez Tanaka Hassan Murphy Okafor Novak Young",
    "test": "Anderson Mensah Chen Lindqvist Haddad Silva Petrov Boateng Fischer Morales Sokolov "
    "Abdi Wright Iyer O'Brien Castillo Watanabe Miller Adeyemi Popescu Taylor Nguyen Kowalski",
}
_PLACES: dict[Half, str] = {
    "dev": "London|Chicago|Mumbai|San Diego|Berlin|Toronto|Ohio|Kenya|Brighton|Osaka|Texas|Madrid",
    "test": "Manchester|Denver|Nairobi|New Orleans|Hamburg|Vancouver|Oregon|Portugal|Leeds|Kyoto|"
    "Florida|Lyon|Boston|Jakarta|Dublin|Santa Fe|Minnesota|Ghana",
}
_STREETS: dict[Half, str] = {
    "dev": "Maple Street|Oak Avenue|High Street|Park Lane|Sunset Boulevard|Mill Road",
    "test": "Cedar Street|Willow Drive|Church Lane|Jefferson Avenue|Harbour Road|Elm Court|"
    "North Ridge Way|Victoria Terrace",
}
_DOMAINS: dict[Half, str] = {
    "dev": "gmail.com yahoo.com example.org acme.net",
    "test": "gmail.com outlook.com hotmail.co.uk northwind.com kestrel.io posteo.de icloud.com",
}

_SITES: dict[Half, str] = {
    "dev": "example.com acme.net",
    "test": "northwind.com kestrel.io bluedoor.org harvestbox.co.uk",
}

_TEMPLATES: dict[Half, str] = {
    "dev": """
my name is {person_name} and I have a question.
hi, this is {person_name} speaking, how are you?
I spoke to {person_name} yesterday.
could you ask {person_name} to come in?
my number is {phone_number}.
you can call me at {phone_number} after lunch.
his cell is {phone_number}, try that.
my email is {email_address}.
please send it to {email_address} today.
I live in {location} with my family.
my address is {address}.
we drove from {location} to {location}.
I was born on {date_of_birth}.
my date of birth is {date_of_birth}.
my card number is {credit_card_number}.
the visa is {credit_card_number}, thanks.
my account number is {account_number}.
the routing number is {account_number}.
my social security number is {us_social_security_number}.
my social is {us_social_security_number}.
the server address is {ip_address}.
go to {url} for details.
then {person_name} said no and left the room.
{person_name} is a nurse in the hospital.
I gave the keys to {person_name}, you know.
my neighbor {person_name} has two dogs.
last summer we stayed in {location} for a week.
people in {location} are friendly.
the store at {address} is closed.
just drop me a line at {email_address}, please.
""",
    "test": """
good morning, my name's {person_name}, I'm calling about my bill.
you're speaking with {person_name}, what can I do for you?
so {person_name} told me that it would be fine.
{person_name} is my doctor, and I trust her.
I think we should invite {person_name} and {person_name} to dinner.
the manager, {person_name}, was very kind to us.
yeah, this is {person_name} calling from the clinic.
sure, it's {phone_number}.
the best number to reach me is {phone_number}.
if there's a problem just text {phone_number} and I'll answer.
her phone number has changed, now it's {phone_number}, did you get that?
can you give the office a ring on {phone_number} tomorrow?
you can write to me at {email_address} any time.
okay so the email address on file should be {email_address}.
I sent it to {email_address} and nobody replied.
my brother moved to {location} last year and he loves it.
we have a small office in {location} now.
the weather in {location} was terrible.
they deliver to {address} on Mondays.
could you send the package to {address}, please?
she's turning forty, she was born {date_of_birth} in a small town.
can you confirm your date of birth? yes, {date_of_birth}.
my birthday is {date_of_birth}.
the patient's birth date is {date_of_birth}, according to the form.
let me read you the credit card, it's {credit_card_number}.
the number on the front of my card is {credit_card_number}.
please charge it to {credit_card_number}.
I want to move money into account {account_number}.
the account you should use is {account_number}.
the sort code is fine but the account number is {account_number}, I believe.
the last thing I need is your social. okay, it's {us_social_security_number}.
her social security number? it's {us_social_security_number}.
my SSN is {us_social_security_number} if you need it.
the router is at {ip_address}, I can ping it.
somebody logged in from {ip_address} last night.
there's more on {url} if you want to read it.
our website is {url}, have a look.
""",
}

_WITHOUT: dict[Half, str] = {
    "dev": """
it cost {amount} dollars.
I waited for {small} hours and nobody came.
chapter {small} is the best one.
call me at {small} tomorrow.
we won {small} to {small}.
in {year} everything was different.
my name is not important.
the order number is {digits8}.
I love my new phone, it has a great camera.
I was so happy that I cried.
there were {amount} people at the concert.
your confirmation code is {digits8}.
one two three four five six seven eight nine ten, here I come.
I was so tired that I slept for {small} hours.
the bus leaves at {small} fifteen from the station.
the new camera has {amount} pixels and a better screen.
the team lost again, and the coach was furious.
""",
    "test": """
I paid {amount} dollars for that and it broke in {small} days.
the meeting is on {date} at {small} thirty.
season {small} of the show was much better than season {small}.
they scored {small} points in the last {small} minutes.
her flight number is {digits4} and it leaves at {small}.
your tracking number is {digits12}, it should arrive soon.
the serial number on the back is {digits8}.
back in {year} we had {amount} customers, can you believe it?
this is amazing, I can't believe how good it sounds.
she said that I'm the one who should apologize.
my card was declined and I felt so embarrassed.
my account is locked again, this is the third time.
what's your phone number, if you don't mind?
I was born to do this.
call your mother, she's worried about you.
count to ten, one two three four five six seven eight nine ten.
the population grew from {amount} to {amount} in {small} years.
look at me when I'm talking to you.
you'll find a dot on the map, that's where we are.
I work at home on {date} and in the office on other days.
I ran {small} miles down the road and my legs hurt.
version {small} dot {small} fixed that bug.
that's the best birthday present I have ever had.
we're meeting at the corner of the street in {small} minutes.
I'd like to order a number {small} with fries.
my new laptop is faster than my phone, and the tablet is slower.
the score was {small} to {small} at half time.
turn to page {digits3} and read the second paragraph.
he is a great cook, and his kitchen smells wonderful.
I don't know who called, there was no name on the screen.
""",
}


@dataclass(frozen=True, slots=True)
class Labelled:
    """A sentence as words, and which of them are personal data."""

    words: tuple[str, ...]
    entities: tuple[tuple[PiiPolicy, int, int], ...]
    """Policy, first word, and the position after the last."""
    cased: bool


def sentences(half: Half, count: int, without: int, seed: int) -> Iterator[Labelled]:
    """Yield ``count`` sentences with personal data and ``without`` ones that have none.

    Every other one is in lower case and has no punctuation.
    """
    values = Values(half, random.Random(seed))
    for texts, number in ((_TEMPLATES, count), (_WITHOUT, without)):
        templates = texts[half].strip().splitlines()
        for index in range(number):
            cased = values.random.random() < 0.5
            yield _filled(templates[index % len(templates)], values, cased=cased)


def _filled(template: str, values: Values, *, cased: bool) -> Labelled:
    words: list[str] = []
    entities: list[tuple[PiiPolicy, int, int]] = []
    rest = template[0].upper() + template[1:]
    while rest:
        plain, _, rest = rest.partition("{")
        words += plain.split()
        name, _, rest = rest.partition("}")
        if not name:
            break
        closing, space, rest = rest.partition(" ")
        value = values.of(name).split()
        policy, first = _POLICY_OF.get(name, name), len(words)
        words += [*value[:-1], value[-1] + closing]
        rest = rest if space else ""
        if name not in _HARMLESS:
            entities.append((policy, first, len(words)))  # type: ignore[arg-type]
    words[0] = words[0][0].upper() + words[0][1:]
    if not cased:
        words = [_plain(word) for word in words]
    return Labelled(tuple(words), tuple(entities), cased)


def _plain(word: str) -> str:
    return word.strip(",.?!").lower() or word


_POLICY_OF = {"address": "location"}
_HARMLESS = {"amount", "small", "year", "date", "digits3", "digits4", "digits8", "digits12"}


class Values:
    """Makes values by the name of their slot, spoken or written as chance has it."""

    def __init__(self, half: Half, source: random.Random) -> None:
        self.half = half
        self.random = source
        self._makers: dict[str, Callable[[], str]] = {
            "person_name": self._person,
            "phone_number": self._phone,
            "email_address": self._email,
            "location": lambda: self.random.choice(_PLACES[self.half].split("|")),
            "address": self._address,
            "date_of_birth": self._date,
            "credit_card_number": self._card,
            "account_number": lambda: self._spoken(self._digits(self.random.choice((8, 9, 10)))),
            "us_social_security_number": self._social,
            "ip_address": self._ip,
            "url": self._url,
            "amount": self._amount,
            "small": lambda: self._number(self.random.randint(2, 12)),
            "year": lambda: self._year(self.random.randint(1950, 2024)),
            "date": lambda: f"{self.random.choice(_MONTHS)} {self.random.choice(_ORDINALS)}",
            **{f"digits{n}": lambda n=n: self._spoken(self._digits(n)) for n in (3, 4, 8, 12)},
        }

    def of(self, name: str) -> str:
        """Return a new value."""
        return self._makers[name]()

    def _chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def _digits(self, count: int) -> str:
        return str(self.random.randint(1, 9)) + "".join(
            str(self.random.randint(0, 9)) for _ in range(count - 1)
        )

    def _spoken(self, digits: str, groups: tuple[int, ...] = ()) -> str:
        """Say digits one by one, with "double" and "oh", or write them."""
        if self._chance(0.3):
            return digits
        said: list[str] = []
        position = 0
        for size in groups or (len(digits),):
            group = digits[position : position + size]
            position += size
            said.append(self._group(group))
        return (", " if self._chance(0.5) else " ").join(said)

    def _group(self, group: str) -> str:
        if len(group) == 2 and group[0] > "1" and self._chance(0.3):
            return self._number(int(group), spoken=True)
        zero = "oh" if self._chance(0.5) else "zero"
        said: list[str] = []
        position = 0
        while position < len(group):
            double = group[position : position + 2] == group[position] * 2 and self._chance(0.4)
            word = zero if group[position] == "0" else _DIGITS[int(group[position])]
            said.append(f"double {word}" if double else word)
            position += 2 if double else 1
        return " ".join(said)

    def _number(self, value: int, *, spoken: bool | None = None) -> str:
        if spoken is None and self._chance(0.3):
            return str(value)
        if value < 10:
            return _DIGITS[value]
        if value < 20:
            return _TEENS[value - 10]
        return _TENS[value // 10] + (f" {_DIGITS[value % 10]}" if value % 10 else "")

    def _year(self, year: int) -> str:
        if self._chance(0.3):
            return str(year)
        first, last = divmod(year, 100)
        if first == 20 and last < 10:
            return "two thousand" + (f" {_DIGITS[last]}" if last else "")
        ending = "hundred" if not last else self._number(last, spoken=True)
        if 0 < last < 10:
            ending = f"oh {_DIGITS[last]}"
        return f"{self._number(first, spoken=True)} {ending}"

    def _amount(self) -> str:
        spoken = ("five hundred", "two thousand", "a hundred", "three hundred and fifty",
                  "one point five million", "twelve thousand five hundred")  # fmt: skip
        written = ("500", "1,200", "35", "2000", "150,000", "1200000")
        return self.random.choice(written if self._chance(0.3) else spoken)

    def _person(self) -> str:
        first = self.random.choice(_FIRST[self.half].split())
        if self._chance(0.35):
            return first
        return f"{first} {self.random.choice(_LAST[self.half].split())}"

    def _phone(self) -> str:
        digits = f"{self.random.choice('23456789')}{self._digits(2)}555{self._digits(4)}"
        if self._chance(0.25):
            return self._spoken(digits[3:], (3, 4))
        if self._chance(0.25):
            forms = ("({}) {}-{}", "{}-{}-{}", "{}.{}.{}", "+1 {} {} {}", "{} {} {}")
            return self.random.choice(forms).format(digits[:3], digits[3:6], digits[6:])
        return self._spoken(digits, (3, 3, 4))

    def _email(self) -> str:
        first = self.random.choice(_FIRST[self.half].split()).lower()
        last = self.random.choice(_LAST[self.half].split()).lower().replace("'", "")
        domain = self.random.choice(_DOMAINS[self.half].split())
        local, spoken = self.random.choice(
            [
                (f"{first}.{last}", f"{first} dot {last}"),
                (f"{first}_{last}", f"{first} underscore {last}"),
                (f"{first[0]}{last}", f"{first[0]} {last}"),
                (f"{first}82", f"{first} eighty two"),
                (first, first),
                (f"{first}{last}", f"{first}{last}"),
                (f"{first}{last}", f"{first} {last}"),
            ]
        )
        if self._chance(0.3):
            return f"{local}@{domain}"
        return f"{spoken} at {domain.replace('.', ' dot ')}"

    def _address(self) -> str:
        number = self.random.randint(1, 99)
        place = self.random.choice(_PLACES[self.half].split("|"))
        return (
            f"{self._number(number)} {self.random.choice(_STREETS[self.half].split('|'))} {place}"
        )

    def _date(self) -> str:
        day, month = self.random.randint(1, 20), self.random.randint(1, 12)
        year = self.random.randint(1940, 2009)
        if self._chance(0.25):
            return f"{month}/{day}/{year}"
        if self._chance(0.5):
            return f"the {_ORDINALS[day - 1]} of {_MONTHS[month - 1]} {self._year(year)}"
        said = _ORDINALS[day - 1] if self._chance(0.5) else str(day)
        return f"{_MONTHS[month - 1]} {said}, {self._year(year)}"

    def _card(self) -> str:
        while not has_check_digit(digits := "4" + self._digits(15)):
            pass
        if self._chance(0.2):
            return " ".join(digits[n : n + 4] for n in (0, 4, 8, 12))
        return self._spoken(digits, (4, 4, 4, 4))

    def _social(self) -> str:
        digits = f"{self.random.randint(100, 665)}{self.random.randint(10, 99)}{self._digits(4)}"
        if self._chance(0.2):
            return f"{digits[:3]}-{digits[3:5]}-{digits[5:]}"
        return self._spoken(digits, (3, 2, 4))

    def _ip(self) -> str:
        octets = [self.random.choice((10, 172, 192, 203)), *self.random.choices(range(1, 255), k=3)]
        if self._chance(0.3):
            return ".".join(map(str, octets))
        return " dot ".join(self._octet(octet) for octet in octets)

    def _octet(self, value: int) -> str:
        if self._chance(0.2):
            return str(value)
        if value > 99 and value % 100 > 9 and self._chance(0.5):
            return f"{_DIGITS[value // 100]} {self._number(value % 100, spoken=True)}"
        return self._group(str(value)) if value > 19 else self._number(value, spoken=True)

    def _url(self) -> str:
        name = self.random.choice(_SITES[self.half].split())
        name = f"www.{name}" if self._chance(0.4) else name
        return name if self._chance(0.3) else name.replace(".", " dot ")
