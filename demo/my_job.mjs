// my_job.py in JavaScript, for a machine without Python.
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';

const secrets = JSON.parse(readFileSync('panda_secrets.json', 'utf8'));

console.log('names of my secrets:', Object.keys(secrets).sort().join(', '));
console.log('a careless line that prints one:', secrets.MY_SECRET);
console.log('the same, from the environment:', process.env.MY_SECRET);
console.log('a_key is', JSON.parse(secrets.MY_SECRET_SER).a_key);

writeFileSync('some_binary_file', Buffer.from(secrets.MY_SECRET_BIN, 'base64'));
const digest = createHash('sha256').update(readFileSync('some_binary_file')).digest('hex');
writeFileSync('result.txt', `sha256 of the binary secret: ${digest}\n`);
rmSync('some_binary_file');
