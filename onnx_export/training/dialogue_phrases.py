"""What the dialogue sentences are built of: for every slot its phrases; `{slot}` stands for another phrase or word.

A phrase is written as a language model would write it; the runtime's own front end reads it.
"""

from .dialogue_words import WORDS, slots

PHRASES = WORDS | slots("""
[statement]
{open}{clause}. | {open}{clause}. | {clause}, {tail}. | {clause}, and {low}. | {clause}, but {low}. | {when}, {low}.
If {condition}, {low}. | {clause} because {low}. | {name}, {low}. | {clause}, so {low}. | {clause} while {low}.
{clause} until {low}. | As soon as {condition}, {low}. | {clause}! | {adverb}, {low}.
[question]
{aux} {act}? | {wh} {wh_rest}? | {aux} {act}, or {aux2} {act}? | {open}{aux} {act}? | {low2}, {tag}?
Is {np} {adj}? | Are {nps} {adj}? | Do you prefer {nps} or {nps}? | {np2}, or {np}? | Is it {adj} or {adj}?
{wh} {wh_rest} {pp}? | Did {person} {act}? | Has {person} {did}? | Isn't {np} {pp}? | How about {np}?
[open]
Sure, | Okay, | Of course, | Yes, | No, | Well, | So, | Right, | Great, | Thanks, | Sorry, | All right, | I see,
Oh, | Hi {first}, | {opener} | {opener} | {opener} | {opener} | ~ | ~ | ~ | ~
~ | ~ | ~ | ~ | ~ | ~ | ~ | ~
[opener]
Sure. | Of course. | Okay. | Great. | No problem. | All right. | Got it. | Yes. | I'm sorry. | Good morning.
Good evening. | Hello. | Hi there! | Perfect. | Just a moment. | Thank you. | Done. | Good question. | Hmm.
Absolutely. | Certainly. | One second. | No worries. | You bet.
[adverb]
Usually | Unfortunately | Luckily | Normally | Sometimes | Today | Tomorrow | Later on | In the meantime | Otherwise
For example | As usual | Right now | Then | Next | After that | First of all | Finally | However | Besides | Instead
In general | Honestly | Recently | Meanwhile
[tail]
please | thank you | I think | I believe | as far as I know | if you like | just in case | as always | too
of course | {first} | though | for now | at least
[tag]
right | okay | isn't it | don't you think | is that correct | would you agree
[clause]
{np} {vi} {pp} | {np} {is} {adj} | {nps} are {adj} | {person} {past} {np} {pp} | {person} {past} {np} | I've {did}
We've {did} | I'll {act} | I'm {doing} | We're {doing} | You're {doing} | They're {doing} | {person} {is} {doing}
You can {act} | You should {act} | You'll need to {act} | I can't {act} | I couldn't {act} | {person} won't {act}
I'd like to {act} | There's {np} {pp} | There are {count} {nps} {pp} | It's {adj} {pp} | It {was} {adj}
That's {np} {rel} | Here's {np} {rel} | {np} {rel} {is} {adj} | {np} costs {money} | {np} starts at {time}
{np} ends at {time} | {np} will be ready {at} | {np} leaves {at} | {person} arrived {at} | I've set {np} for {time}
The total is {money} | The temperature is {small} degrees | Let's {act} | Don't {act} | Please {act}
I don't {act} {pp} | I wouldn't {act} | Remember to {act} | Try to {act} | {person} {is} about to {act}
{np} is {small} {unit} {away} | It takes {small} {unit} to {act} | {small} percent of {nps} are {adj}
The {ordinal} {n1} {is} {adj} | She's {doing} | He's {adj} | They've {did} | She'd {did} | We're {adj}
You're {adj} | I'm {adj} | What's {adj} is {np} | He'll {act} | I've got {nps} {pp} | We haven't {did}
{person} hasn't {did} | {person} doesn't {act} | That'll be {adj} | There wasn't {np} {pp} | {np} isn't {adj}
I didn't {act} | {nps} aren't {adj} | There've been {nps} {pp} | {nps} and {nps} are {adj} and {adj}
{person} lives {at_address} | The number is {phone} | My name is {name} | {name} called {at}
{person} was born in {year} | {np} opened in {year}
[low]
{np} {vi} {pp} | {np} {is} {adj} | I've {did} | I'll {act} | you can {act} | we're {doing} | you should {act}
it's {adj} | there's {np} {pp} | {person} {past} {np} | they've {did} | I couldn't {act} | she'll {act} | he'd {act}
don't {act} | it {was} {adj} | we need to {act} | {nps} are {adj}
[low2]
{np2} {is} {adj} | You've {did} | It's {adj} | {person} {past} {np} | There's {np} {pp} | You're {doing}
That's {np}
[condition]
you {act} | you'd like to {act} | {np} {is} {adj} | {person} {is} {doing} | there's {np} {pp} | you haven't {did}
it's {adj} | you see {np}
[when]
{at} | Before you {act} | After you {act} | While {person} {was} {doing} | When {np} {vi} | On {date} | In {year}
By {time} | Every {day} | Since {year}
[at]
at {time} | on {day} | on {date} | tomorrow | tonight | this afternoon | next week | in {small} minutes
at {time} on {day} | on {day} morning | yesterday | last night | in a moment | in the evening | this weekend
at noon | at midnight | in {month} | by {day} | soon | later today
[aux]
Can I | Could you | Would you | Should I | Shall we | Do you want to | Would you like to | Do you want me to
Will you | May I | Can we | Did you | Would you like me to
[aux2]
should I | would you rather | do you want me to | shall I | can you | could we
[wh]
When | Where | Why | How | What time | How long | How often
[wh_rest]
do I {act} | are {nps} {adj} | will {np} be {adj} | has {person} {did} | were {nps} {pp} | did you say {np} was
would {person} {act} | did {person} {act} | can I {act} | should we {act} | do you want to {act}
does {person} {act} | is {np} | was {np} | would you like to {act}
[is]
is | is | was | isn't | is always | is usually | will be | should be | might be | seems | looks | has been
[was]
was | wasn't | was always | has been | had been
[rel]
you asked for | you wanted | I mentioned | that {person} {past} | {pp} | from {place} | with {np} | near {place}
we talked about | that {vi} {pp}
[np]
the {n1} | the {n1} | a {n1} | the {adj} {n1} | your {n1} | my {n1} | our {adj} {n1} | this {n1} | {first}'s {n1}
the {n1} {pp} | the {n2} {n1} | her {n1} | their {n1} | that {adj} {n1}
[np2]
The {n1} | A {n1} | The {adj} {n1} | This {n1} | Your {n1} | {first} | {name}
[nps]
the {ns} | {adj} {ns} | {ns} | your {ns} | {ns} and {ns} | these {ns} | all the {ns} | the {adj} {ns} | some {ns}
{small} {ns}
[count]
two | three | four | five | a few | several | many | {small} | no | a lot of
[person]
{first} | {name} | {title} {last} | she | he | my {kin} | your {kin} | the {job} | someone | nobody | everyone
the {adj} {job} | {first}'s {kin}
[whom]
{first} | {name} | {title} {last} | her | him | us | them | me | my {kin} | your {kin} | the {job} | someone
everyone | a {job} | {first}'s {kin}
[pp]
in {place} | on the {n1} | under the {n1} | next to the {n1} | at the {site} | near the {site} | in the {site}
from the {site} | for {whom} | with {whom} | about {np} | for {small} {unit} | in {city} | behind the {site}
across the {site} | in {month} | on {day} | during the {n1} | without {nps} | between the {ns} and the {ns}
[place]
{city} | {city} | the {site} | {country} | the {adj} {site} | {city}, {country}
[at_address]
at {number} {street} | on {street} | in {city} | at {number} {street}, {city} | near the {site}
[vi]
works | stopped | starts | ended | closes | opened | arrives | left | broke | changed | moved | rings | goes | comes
stays | runs | fell | begins | grew | appears | shut down | went up | came back | slows down | failed
[act]
{verb} {np} | {verb} {np} | {verb} {nps} | {verb} {np} {pp} | {verb} {np} {at} | {verb} it | {verb} them {pp}
go to {place} | talk to {whom} | wait for {np} | look for {np} | think about {np} | ask {whom} about {np}
tell {whom} that {low} | come back {at} | say that again | speak with {whom} | pay {money} for {np} | spell {np}
turn on the {n1} | turn off the {n1} | pick up {np} | plug it in | hold on {at}
[did]
{done} {np} | {done} {np} | {done} {nps} | {done} it {at} | been to {place} | talked to {whom} | waited for {np}
{done} {np} {pp} | heard about {np} | turned off the {ns}
[doing]
{ving} {np} | {ving} {np} {pp} | {ving} {nps} | going to {place} | waiting for {np} | looking for {np}
talking to {whom} | thinking about {np} | going to {act} | working on {np}
[name]
{first} {last}
[street]
{street_name} {street_kind}
[away]
away | from here | from {place} | long | down the road | to the {site}
[short]
Yes. | No. | Okay. | Thank you. | You're welcome. | Good night. | See you tomorrow. | Please wait. | One moment.
I don't know. | That's right. | Really? | Are you sure? | Stop! | What time is it? | Hello! | Goodbye.
Maybe later. | Why not? | Be careful! | It's done. | Not yet. | How are you? | Welcome back. | Come in.
Nice to meet you. | Excuse me. | Say that again? | Who is it? | Where are you? | I agree. | Never mind. | Go ahead.
Hold on. | Help! | Wait! | What? | Who? | When? | Where? | Which one? | How many? | How much? | I'm here.
Let's go. | Take care. | Good luck! | Congratulations! | Happy birthday, {first}! | Merry Christmas! | {first}?
{first}! | {number}. | {time}. | {money}. | {day}. | {date}. | {city}. | Dear {first}, | Thanks, {first}.
Bye for now. | Any time. | Sounds good. | That's all. | Ready? | Sorry? | Right. | Cool! | Wow! | Correct.
Of course. | Sure thing. | Me too. | No, thanks. | Yes, please.
[listed]
I need {list}. | We have {list}. | Please buy {list}. | Your list has {list}. | Add {list} to the list.
You can choose between {list}. | First, {low}. Second, {low}. Third, {low}. | Today we have {list}, and {low}.
The winners are {first}, {name} and {first}. | {list}. | Would you like {list}?
It comes in {adj}, {adj} and {adj}. | There are {count} steps: {act}, {act}, and {act}.
I've visited {city}, {city}, {country} and {country}. | The letters are {letters}. | {number}, {number}, {number}.
{digits}.
[list]
{nps}, {nps} and {nps} | {ns}, {ns}, {ns} and {ns} | {np}, {np} and {np} | {ns}, {ns}, and {ns} | {np} or {np}
{first}, {first} and {first} | {adj} {ns}, {ns} and {ns} | {ns}, {ns}, {ns}, {ns}, {ns} and {ns}
[figures]
That comes to {money}. | {open}that will be {money}, please. | Your balance is {money}.
The price went from {money} to {money}. | It's {time}. | The {n1} is at {time} on {day}. | On {date}, {year}, {low}.
The code is {digits}. | Call {phone}. | My number is {phone}. | It's {decimal} {unit} {away}.
{percent} of {nps} are {adj}. | There's a {percent} chance of rain on {day}. | {number} plus {number} is {number}.
{small} times {small} is {small}. | {big} people live in {city}. | The answer is {number}.
Turn left after {small} meters. | The {ordinal} of {month} is a {day}. | Gate {small}, seat {small}{letter}.
Flight {letter}{letter} {number} to {city} leaves at {time}. | It weighs {decimal} pounds.
Add {fraction} cup of {n1}. | The score is {small} to {small}. | Chapter {small}, page {number}.
From {time} to {time}. | We're open from {hour} to {hour}. | It will be {small} degrees in {city} on {day}.
In {year}, {low}. | {first} is {small} years old. | The meeting is on {date} at {time}.
You've got {number} {ns} and {small} {ns}. | {np2} costs {money} {per}. | The distance is {decimal} miles.
Room {number}, {ordinal} floor. | It was {year} or {year}. | The total is {money}, including {money} for {np}.
A table for {small} at {time}, under the name of {last}. | You need {small} more {ns}.
The model is {letter}{number}. | Press {small} for {nps}, or {small} for {nps}.
Version {decimal} came out in {month} {year}.
[per]
a month | per night | an hour | each | a year | per person | a pound | per mile
[spelled_out]
That's {spelled}. | {first}, spelled {letters_of_it}. | My last name is {last}, {letters_of_it}.
Your confirmation code is {code}. | The code is {code}. | {word} is spelled {letters_of_it}.
It begins with {letter}. | The password is {code}, all capitals. | Is that {letter} or {letter}?
{letter} as in {first}, {letter} as in {city}. | Please spell {word}. | {letters}. | Size {letter}, row {letter}.
License plate {code}. | {first}, {letters_of_it}. | Write {word}, {letters_of_it}.
How do you spell {last}? It's {letters_of_it}.
""")
