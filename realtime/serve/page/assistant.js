// An assistant without a model: it picks an answer, and writes it as a model would, a few letters at a time.

const ANSWERS = [
  [/weather|rain|sun|umbrella/i, "It stays dry until about four, then a short shower comes through from the west. Take a light jacket, and you can leave the umbrella at home."],
  [/meeting|calendar|schedule|thursday|friday/i, "You have three things on Thursday. A call at half past nine, lunch with Dana at twelve, and the review at three, which I can move to Friday if you like."],
  [/joke|funny/i, "A photon checks into a hotel. The porter asks whether it has any luggage. No, it says, I'm travelling light."],
  [/who|what are you|name|voice/i, "I am a small voice that runs on an ordinary processor. I start to speak before my sentence is finished, and I stop the moment you want me to."],
  [/stack|depth|layer|code/i, "Every eighty milliseconds of my voice is a stack of codes. The lowest layers carry the words, the ones above them carry the finer colour. Move the slider, and hear what each of them adds."],
  [/hello|hi\b|hey|good (morning|evening)/i, "Hello! It is good to hear from you. Ask me something, and cut in whenever you have heard enough."],
];
const OTHERS = [
  "That is a good question. The short answer is yes, with a little patience. The long answer begins with a cup of coffee, and I would suggest that we take it one step at a time.",
  "Let me think aloud for a moment. There are two ways to go about it. The first is quick and leaves a few corners rough. The second takes until Friday, and you would not have to do it again.",
  "I would start with the part you can measure. Write down what it is today, change one thing, and look again tomorrow. Most of what seems complicated turns out to be two simple things at once.",
];
let turn = 0;

export function answerTo(question) {
  return ANSWERS.find(([pattern]) => pattern.test(question))?.[1] ?? OTHERS[turn++ % OTHERS.length];
}

/** The pieces of an answer, as slowly as they would be written. */
export async function* written(answer, signal) {
  for (let at = 0; at < answer.length && !signal.aborted; at += 4) {
    yield answer.slice(at, at + 4);
    await new Promise((resolve) => setTimeout(resolve, 35 + Math.random() * 30));
  }
}
