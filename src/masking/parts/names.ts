/**
 * The name of a field tells about its value: `secret` (a password, a token, a key), `harmless` (a host, a type, a user), or
 * nothing. `transformation.py` has the same words for the jobs of PanDA's own pilots; a test holds the two together.
 */
export type NameTells = 'secret' | 'harmless' | 'nothing';

/** Reads camelCase, snake_case, kebab-case and dots. The last word decides: `token_type` is harmless, `user_password` is not. */
export function tellsOf(name: string): NameTells {
  const words = wordsOf(name);
  const joined = words.join('');
  if (HARMLESS_NAME.test(joined)) return 'harmless';
  if (HARMLESS.has(words.at(-1) ?? '')) return 'harmless';
  if (SECRET_NAME.test(joined) || words.some((word) => SECRET.has(word))) return 'secret';
  return HARMLESS.has(joined) ? 'harmless' : 'nothing';
}

/**
 * True when `name` is made of words that name fields, and of nothing else. Only such a name may be shown: in
 * a text of another format, the word that a reader takes for a name may be a part of the secret.
 */
export function isFieldName(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z_.-]{0,39}$/.test(name)) return false;
  const words = wordsOf(name);
  return words.length > 0 && words.every((word) => SECRET.has(word) || HARMLESS.has(word) || NEUTRAL.has(word));
}

/** In lower case, without accents and without numbers at the end. */
function wordsOf(name: string): string[] {
  const plain = name.normalize('NFKD').replace(/\p{M}/gu, '').replace(/ł/g, 'l').replace(/ß/g, 'ss').replace(/ı/g, 'i');
  const spaced = plain.replace(/([\p{Ll}\d])(\p{Lu})/gu, '$1 $2').replace(/(\p{Lu})(\p{Lu}\p{Ll})/gu, '$1 $2');
  const words = spaced
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '');
  while (words.length > 1 && /^\d+$/.test(words.at(-1) ?? '')) words.pop();
  return words.map((word) => (word.length > 3 ? word.replace(/\d{1,2}$/, '') : word));
}

/** Words that make a name telling, wherever they stand in it. */
const SECRET = new Set(
  `password passwords passwd pwd pw pass passphrase passphrases passcode secret secrets token tokens key keys auth auths
  authorization authentication credential credentials cred creds pin pins puk otp totp cookie cookies jwt pat psk private signature
  sig salt seed mnemonic session bearer nonce tan cvv cvc
  passwort kennwort kennworter geheim geheimnis schlussel zugangsdaten
  mdp motdepasse secrete cle clef jeton contrasena clave secreto senha segredo chave parola segreto chiave
  wachtwoord sleutel geheime haslo klucz tajne heslo klic tajny losenord nyckel hemlig adgangskode passord nokkel hemmelig
  salasana avain salainen jelszo kulcs titkos sifre anahtar gizli
  пароль паролі ключ токен секрет κωδικος 密码 密碼 口令 密钥 令牌 パスワード 暗証番号 秘密 비밀번호 암호`.split(/\s+/),
);

/** Written as one word: `dbpassword`, `PGPASSWORD`, `apikey`, `authToken`, `requirepass`. */
const SECRET_NAME =
  /(password|passwd|passphrase|motdepasse|passwort|kennwort|secret|token|credentials?|(db|user|root|admin|my|sql|ssh|smtp|require|master|key|store|trust|proxy|ftp|mail|ldap|bind|login|become|redis)(pass|pwd|pw)|(backup|recovery|verification|security|unlock)codes?|(api|access|secret|private|auth|encryption|signing|shared|account|master|storage|service|client|license|ssh|host|session|sas)keys?)$/;

/** Telling words that name something else here. */
const HARMLESS_NAME =
  /((public|pub|sort|primary|foreign|partition|cache|row|object|image|routing|map)keys?|privateip|privatenetwork|privatenetworks|keepass|keyring|keystore|keyvault|keyspace|truststore|passportnumber|basicauthuser|sessionduration|sessionname|tokenizer|tokenuri)$/;

/** Last words of names whose values are no secrets. */
const HARMLESS = new Set(
  `type types kind class url urls uri uris endpoint endpoints href link host hosts hostname hostnames server servers address addr ip port ports region
  regions zone user users username usernames uname login account accounts email emails mail name names dbname database databases db schema
  table project projects version versions apiversion scope scopes expiry expires expiration ttl timeout exp iat nbf issuer iss aud audience sub
  alg algorithm algorithms typ cipher ciphers id ids kid uid gid format encoding charset lang language locale tz timezone mode level
  path paths file files filename dir directory folder description comment comments title label labels env environment role roles
  group groups driver protocol protocols scheme method methods domain domains realm tenant cluster clusters namespace
  namespaces context contexts image tag tags branch repository repo registry created updated date time timestamp size length count max min
  limit interval retries retry enabled enable disabled required debug verify ssl sslmode tls output profile provider providers vendor
  model resource resources service services app application owner organization organisation org team country city
  state status stage policy policies hint question expire age days hours minutes seconds duration lifetime rotation prefix suffix
  header headers field location store bucket queue topic channel workspace subscription action actions effect generator generators tune
  benutzer benutzername nutzer rechner utilisateur identifiant hote adresse usuario correo servidor puerto utente indirizzo gebruiker
  brugernavn bruker anvandare kayttaja uzivatel uzytkownik felhasznalo kullanici пользователь логин 用户 用户名 ユーザー`.split(
    /\s+/,
  ),
);

/** Words of names that tell nothing about a value. */
const NEUTRAL = new Set(
  `access admin api app aws azure backend base bot build cache cdn certificate cert ci client cloud config connection consumer core customer
  data default deploy dev development docker end ftp gcp gitlab github google grid http https imap jira kafka kube ldap local mail main
  master max min mongo mysql net node oauth object old new oracle orcid pg pop postgres postgresql prod production proxy public queue rabbit read redis
  remote request root s3 sasl send sender server session sftp share site slack smtp source sql ssh staging start stop storage sub system
  target test universe upload web webhook write x509`.split(/\s+/),
);
