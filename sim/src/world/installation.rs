//! The App's installations, one for each owner of repositories: its key, and the tokens that are
//! made with it.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use super::{Identity, World, WorldError};

/// GitHub's tokens of installations live for an hour.
const TOKEN_LIVES: Duration = Duration::from_secs(3600);

/// The longest that a signature of an App may be good for.
const SIGNED_FOR: Duration = Duration::from_secs(600);

/// What is PEM's line length.
const PEM_LINE: usize = 64;

/// The key of every stand-in's App in this process: making one takes a while.
struct Key {
    private_pem: String,
    public: DecodingKey,
}

fn key() -> Result<&'static Key, WorldError> {
    static KEY: OnceLock<Option<Key>> = OnceLock::new();
    let none = || WorldError::Unprocessable("no key could be made for the App".to_owned());
    KEY.get_or_init(Key::make).as_ref().ok_or_else(none)
}

impl Key {
    fn make() -> Option<Self> {
        let pair = KeyPair::generate(KeySize::Rsa2048).ok()?;
        let private: Pkcs8V1Der<'_> = pair.as_der().ok()?;
        let text = STANDARD.encode(private.as_ref());
        let lines: Vec<&str> = (0..text.len())
            .step_by(PEM_LINE)
            .map(|start| &text[start..text.len().min(start + PEM_LINE)])
            .collect();
        let lines = lines.join("\n");
        let private_pem =
            format!("-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n");
        Some(Self { private_pem, public: DecodingKey::from_rsa_der(pair.public_key().as_ref()) })
    }
}

/// An installation token, as GitHub gives it out.
#[derive(Clone, Debug)]
pub struct Minted {
    /// The token.
    pub token: String,
    /// When it ends.
    pub ends: SystemTime,
}

impl World {
    /// The App's private key, as PEM.
    ///
    /// # Errors
    /// The machine makes none.
    pub fn private_key(&self) -> Result<&'static str, WorldError> {
        Ok(&key()?.private_pem)
    }

    /// Whether the App signed that, and it is good now: its times are checked by the world's clock.
    #[must_use]
    pub fn is_signed_by_app(&self, signature: &str) -> bool {
        #[derive(Deserialize)]
        struct Claims {
            iat: u64,
            exp: u64,
            iss: String,
        }
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_exp = false;
        let Ok(key) = key() else { return false };
        let decoded = jsonwebtoken::decode::<Claims>(signature, &key.public, &validation);
        let Ok(Claims { iat, exp, iss }) = decoded.map(|decoded| decoded.claims) else {
            return false;
        };
        let now = self.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let latest = now + SIGNED_FOR.as_secs();
        iss == self.app.id.to_string() && iat <= now && now < exp && exp <= latest
    }

    /// Makes a token of the installation.
    ///
    /// # Errors
    /// There is no such installation.
    pub fn mint(&mut self, installation: u64) -> Result<Minted, WorldError> {
        let mut owners = self.repositories.iter().map(|home| home.name.owner());
        if !owners.any(|owner| self.installation_of(owner) == installation) {
            return Err(WorldError::NotFound);
        }
        let token = format!("ghs_{}", hex::encode(rand::random::<[u8; 18]>()));
        let ends = self.now() + TOKEN_LIVES;
        self.tokens.insert(token.clone(), Identity::App);
        self.token_ends.insert(token.clone(), ends);
        self.token_installations.insert(token.clone(), installation);
        Ok(Minted { token, ends })
    }

    /// The number of the App's installation on an account: that of the first owner of a repository
    /// is the App's own, those of the others follow.
    #[must_use]
    pub fn installation_of(&self, owner: &str) -> u64 {
        let mut owners: Vec<String> = Vec::new();
        for home in &self.repositories {
            let owner = home.name.owner().to_lowercase();
            if !owners.contains(&owner) {
                owners.push(owner);
            }
        }
        let place = owners.iter().position(|known| known.eq_ignore_ascii_case(owner)).unwrap_or(0);
        (self.app.installation..).nth(place).unwrap_or(self.app.installation)
    }

    /// Which installation a token was made for.
    #[must_use]
    pub fn installation_of_token(&self, token: &str) -> Option<u64> {
        self.token_installations.get(token).copied()
    }

    /// The App is removed, and installed again under another number.
    pub fn reinstall(&mut self, installation: u64) {
        self.app.installation = installation;
        self.revoke_tokens();
    }

    /// Makes every token of the installation invalid, as when it is suspended and not any more.
    pub fn revoke_tokens(&mut self) {
        for (token, _) in self.token_ends.drain() {
            self.tokens.remove(&token);
        }
    }
}
