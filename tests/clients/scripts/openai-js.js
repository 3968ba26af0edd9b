// What OpenAI's JavaScript library can do, asked of one model. Prints a JSON object: what was asked → what came of it.
import OpenAI from "openai";

const { MODEL: model, BASE_URL, API_KEY: apiKey } = process.env;
const client = new OpenAI({ baseURL: `${BASE_URL}/v1`, apiKey, maxRetries: 0, timeout: 60_000 });
const chat = { model, messages: [{ role: "user", content: "Who are you?" }], max_tokens: 64 };
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ type: "function", function: { name: "report_weather", parameters } }];
const words = (answer) => answer.choices[0].message.content || `call ${answer.choices[0].message.tool_calls[0].function.name}`;

const rounds = {
  chat: async () => words(await client.chat.completions.create(chat)),
  stream: async () => {
    let said = "";
    for await (const chunk of await client.chat.completions.create({ ...chat, stream: true }))
      said += chunk.choices[0]?.delta?.content ?? "";
    return said;
  },
  tools: async () => words(await client.chat.completions.create({ ...chat, tools })),
  "stream helper": async () => words(await client.chat.completions.stream(chat).finalChatCompletion()),
  responses: async () =>
    (await client.responses.create({ model, input: "Who are you?", max_output_tokens: 64 })).output_text,
};

const found = {};
for (const [name, ask] of Object.entries(rounds)) {
  try {
    found[name] = (await ask()).trim();
  } catch (error) {
    found[name] = `${error}`;
  }
}
console.log(JSON.stringify(found));
