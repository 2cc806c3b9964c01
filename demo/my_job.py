# The job of the manual page: it reads its secrets from panda_secrets.json in the directory that it runs in.
import base64
import hashlib
import json
import os

with open('panda_secrets.json') as f:
    secrets = json.load(f)

print('names of my secrets:', ', '.join(sorted(secrets)))
print('a careless line that prints one:', secrets['MY_SECRET'])
print('the same, from the environment:', os.environ['MY_SECRET'])
print('a_key is', json.loads(secrets['MY_SECRET_SER'])['a_key'])

with open('some_binary_file', 'wb') as f:
    f.write(base64.b64decode(secrets['MY_SECRET_BIN']))

with open('some_binary_file', 'rb') as f, open('result.txt', 'w') as result:
    result.write('sha256 of the binary secret: %s\n' % hashlib.sha256(f.read()).hexdigest())
os.remove('some_binary_file')
