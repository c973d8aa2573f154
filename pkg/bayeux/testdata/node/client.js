// Drives the stock Faye client for the Go tests: node client.js <url> <transports to disable, separated by commas>.
// Commands come as lines of JSON on standard input, what happens goes as lines of JSON to standard output.
'use strict';

const faye = require('faye');
const readline = require('readline');
const stockCommands = require('./commands');

const [url, disabled] = process.argv.slice(2);
const say = (event, fields) => process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');
const commands = stockCommands(faye, url, disabled ? disabled.split(',') : [], say);

readline.createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line);
    commands[command.op](command);
  })
  .on('close', () => process.exit(0));
