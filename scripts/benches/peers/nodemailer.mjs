// nodemailer with a pool as its documentation shows it. Port and number of mails as arguments, {subject, html, text} as
// JSON on standard input; prints mails a second. Nothing is stored: mails unsent when the process ends are lost.
import { readFileSync } from "node:fs";
import nodemailer from "nodemailer";

const [port, count] = process.argv.slice(2).map(Number);
const mail = JSON.parse(readFileSync(0, "utf-8"));
const transport = nodemailer.createTransport({ pool: true, host: "127.0.0.1", port, secure: false, ignoreTLS: true });

async function send(first, many) {
  const sent = [];
  for (let n = first; n < first + many; n++) {
    sent.push(transport.sendMail({ from: "noreply@example.com", to: `b${n}@example.com`, ...mail }));
  }
  await Promise.all(sent);
}

await send(0, 50);
const began = performance.now();
await send(50, count);
console.log(count / ((performance.now() - began) / 1000));
transport.close();
