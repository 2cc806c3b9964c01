/** Files in which well-known programs keep credentials. */
export interface CredentialFiles {
  /** A person's word for the content. */
  what: string;
  /** Patterns as in a `.gitignore`; a folder's name stands for all in it. */
  patterns: readonly string[];
  /** Only a file in which this stands; each file of the pattern otherwise. */
  holding?: RegExp;
  /** The document of the program that says so. */
  source: string;
}

/** The first bytes of a file that are looked at for `holding`. */
export const LOOKED_AT_BYTES = 65_536;

const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY( BLOCK)?-----/;

/**
 * The files that a sandbox has only when `--includeFile` asks for them. A new entry needs its source: the page of the program
 * that says where it keeps what.
 */
export const CREDENTIAL_FILES: readonly CredentialFiles[] = [
  { what: 'SSH keys', patterns: ['.ssh'], source: 'ssh(1), FILES' },
  {
    what: 'a private key',
    patterns: ['id_rsa', 'id_dsa', 'id_ecdsa*', 'id_ed25519*'],
    holding: PRIVATE_KEY,
    source: 'ssh-keygen(1), FILES',
  },
  {
    what: 'a private key',
    patterns: ['*.pem', '*.key', '*.asc', '*.ppk'],
    holding: /PRIVATE KEY( BLOCK)?-----|PuTTY-User-Key-File/,
    source: 'RFC 7468, section 10; RFC 9580, section 6.2; PuTTY, "PPK file format"',
  },
  {
    what: 'keys',
    patterns: ['*.p12', '*.pfx', '*.jks', '*.keystore', '*.kdbx'],
    source: 'RFC 7292; keytool(1); KeePass, "KDBX 4"',
  },
  { what: 'keys', patterns: ['.gnupg'], source: 'gpg(1), FILES' },
  { what: 'passwords', patterns: ['.password-store'], source: 'pass(1), FILES' },
  { what: 'age keys', patterns: ['.config/sops/age'], source: 'SOPS, "Encrypting using age"' },
  { what: 'grid certificates', patterns: ['.globus', 'x509up_u*'], source: 'voms-proxy-init(1), FILES' },
  {
    what: 'Kerberos tickets and keys',
    patterns: ['krb5cc_*', '*.keytab', '.k5login'],
    source: 'krb5.conf(5), default_ccache_name, default_keytab_name',
  },
  {
    what: 'OpenID accounts',
    patterns: ['.oidc-agent', '.config/oidc-agent', '.indigo-dc'],
    source: 'oidc-agent(1), FILES',
  },
  {
    what: 'AWS credentials',
    patterns: ['.aws', '.boto', '.s3cfg'],
    source: 'AWS CLI, "Configuration and credential file settings"; s3cmd(1), FILES',
  },
  {
    what: 'Google Cloud credentials',
    patterns: ['.config/gcloud', 'application_default_credentials.json'],
    source: 'gcloud topic configurations',
  },
  {
    what: 'a service account key',
    patterns: ['*.json'],
    holding: /"private_key"\s*:\s*"-----BEGIN/,
    source: 'Google Cloud, "Create and delete service account keys"',
  },
  { what: 'Azure credentials', patterns: ['.azure'], source: 'Azure CLI, "Configuration"' },
  {
    what: 'Kubernetes credentials',
    patterns: ['.kube', 'kubeconfig'],
    source: 'kubectl, "Organizing Cluster Access Using kubeconfig Files"',
  },
  {
    what: 'OpenStack credentials',
    patterns: ['.config/openstack', 'clouds.yaml', 'secure.yaml', '*openrc.sh'],
    source: 'openstacksdk, "Configuring OpenStack SDK Applications"',
  },
  {
    what: 'cloud credentials',
    patterns: ['.oci', '.config/doctl', '.config/rclone', '.terraform.d/credentials.tfrc.json'],
    source: 'the manuals of oci, doctl, rclone and terraform, "configuration"',
  },
  {
    what: 'container registry logins',
    patterns: [
      '.docker/config.json',
      '.config/containers/auth.json',
      '.apptainer/docker-config.json',
      '.singularity/docker-config.json',
    ],
    source: 'docker login; containers-auth.json(5); apptainer registry login',
  },
  {
    what: 'Git passwords',
    patterns: ['.git-credentials', '.config/git/credentials'],
    source: 'git-credential-store(1), FILES',
  },
  {
    what: 'forge tokens',
    patterns: ['.config/gh/hosts.yml', '.config/glab-cli', '.config/hub'],
    source: 'gh auth login; glab auth login; hub(1)',
  },
  {
    what: 'passwords',
    patterns: ['.netrc', '_netrc', '.authinfo', '.authinfo.gpg'],
    source: 'curl(1), --netrc; ftp(1), THE .netrc FILE',
  },
  {
    what: 'package registry tokens',
    patterns: ['.npmrc', '.yarnrc', '.yarnrc.yml'],
    holding: /_auth|_password|npmAuth/i,
    source: 'npmrc(5), "Auth related configuration"',
  },
  {
    what: 'package registry tokens',
    patterns: [
      '.pypirc',
      '.cargo/credentials',
      '.cargo/credentials.toml',
      '.gem/credentials',
      '.composer/auth.json',
      '.m2/settings.xml',
      '.m2/settings-security.xml',
      '.gradle/gradle.properties',
    ],
    source: 'the manuals of twine, cargo, gem, composer, maven and gradle',
  },
  {
    what: 'model hub tokens',
    patterns: ['.huggingface', '.cache/huggingface/token', '.cache/huggingface/stored_tokens', '.kaggle'],
    source: 'huggingface_hub, "Environment variables"; Kaggle API, "Authentication"',
  },
  { what: 'a Vault token', patterns: ['.vault-token'], source: 'vault login' },
  {
    what: 'database passwords',
    patterns: ['.pgpass', '.my.cnf', '.mylogin.cnf'],
    source: 'PostgreSQL, "The Password File"; MySQL, "Using Option Files"',
  },
  {
    what: 'settings with secrets',
    patterns: ['.env', '.env.*', '!.env.example', '!.env.sample', '!.env.template', '!.env.dist', '.envrc'],
    source: 'dotenv, "Should I commit my .env file?"; direnv(1)',
  },
  {
    what: 'passwords',
    patterns: ['.htpasswd', '.msmtprc', '.fetchmailrc'],
    source: 'htpasswd(1); msmtp(1); fetchmail(1)',
  },
  {
    what: 'a keyring',
    patterns: ['.local/share/keyrings', '.local/share/kwalletd', 'Library/Keychains', '.config/keepassxc'],
    source: 'gnome-keyring-daemon(1); kwalletd; security(1)',
  },
  {
    what: 'a browser profile',
    patterns: [
      '.mozilla',
      '.thunderbird',
      '.config/google-chrome',
      '.config/chromium',
      '.config/microsoft-edge',
      '.config/BraveSoftware',
      'Library/Application Support/Google',
      'Library/Application Support/Firefox',
      'Library/Cookies',
    ],
    source: 'Chromium, "User Data Directory"; Mozilla, "Profiles"',
  },
  { what: 'display credentials', patterns: ['.Xauthority', '.ICEauthority'], source: 'xauth(1), FILES' },
  {
    what: 'a history of commands',
    patterns: [
      '.*_history',
      '.history',
      '.local/share/fish',
      '.ipython/profile_*/history.sqlite',
      '.lesshst',
      '.viminfo',
    ],
    source: 'bash(1), HISTFILE; zshparam(1); fish, "history"; python3, "site"; vim, "viminfo"',
  },
];
