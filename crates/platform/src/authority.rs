//! The installation's own certificate authority: its key makes certificates for
//! members, and a member is whoever holds one. A certificate names the roles that its
//! process may speak for, such as `worker-3`. Keys stay in files of their owner (0600)
//! and are never printed.

use std::{
    fmt, fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use model::civil::Civil;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

/// How long certificates are good for, unless said otherwise: ten years.
pub const CERTIFICATE_DAYS: u64 = 3_650;
/// Clocks of members may be behind by so much.
const CLOCK_DAYS: u64 = 1;
const MS_PER_DAY: u64 = 86_400_000;

/// Below it stand the names of members in certificates. It is a name for private use.
const DOMAIN: &str = "member.lambent.internal";
const COMMON_NAME: &str = "Lambent authority";
const CERTIFICATE_FILE: &str = "authority.pem";
const KEY_FILE: &str = "authority.key";

/// The name of a member as certificates have it: `worker-3.member.lambent.internal`.
pub(crate) fn host_name(member: &str) -> String {
    format!("{member}.{DOMAIN}")
}

#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("cannot {verb} {path}: {source}")]
    File {
        verb: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0:?} cannot be a member's name: 1 to 63 of a-z, 0-9 and -, beginning with a letter")]
    Name(String),
    #[error("a certificate names at least one member")]
    NoName,
    #[error("certificates cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// Who can make members.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// What a member proves itself with, all in PEM.
#[derive(Clone)]
pub struct Credentials {
    /// Of the authority: whom the member trusts.
    pub authority: String,
    pub certificate: String,
    key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// A new one in the directory, which is made. One that is there already is never
    /// replaced: its members would be strangers.
    pub fn create(directory: &Path, now_ms: u64) -> Result<Authority, AuthorityError> {
        let key = KeyPair::generate()?;
        let params = authority_params(now_ms);
        let certificate = params.self_signed(&key)?.pem();
        fs::create_dir_all(directory).map_err(file("make", directory))?;
        write(&directory.join(KEY_FILE), &key.serialize_pem(), 0o600)?;
        write(&directory.join(CERTIFICATE_FILE), &certificate, 0o644)?;
        Ok(Authority { certificate, issuer: Issuer::new(params, key) })
    }

    pub fn load(directory: &Path) -> Result<Authority, AuthorityError> {
        let certificate = read(&directory.join(CERTIFICATE_FILE))?;
        let key = KeyPair::from_pem(&read(&directory.join(KEY_FILE))?)?;
        // Only the name and the key of an issuer go into what it issues.
        let issuer = Issuer::new(authority_params(0), key);
        Ok(Authority { certificate, issuer })
    }

    /// For a process that may speak for all these members, good for `days` from now.
    pub fn issue(
        &self,
        members: &[&str],
        now_ms: u64,
        days: u64,
    ) -> Result<Credentials, AuthorityError> {
        let first = members.first().ok_or(AuthorityError::NoName)?;
        let key = KeyPair::generate()?;
        let mut params = params(first, now_ms, days);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        for member in members {
            if !is_member_name(member) {
                return Err(AuthorityError::Name((*member).to_owned()));
            }
            params.subject_alt_names.push(SanType::DnsName(host_name(member).try_into()?));
        }
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        let authority = self.certificate.clone();
        Ok(Credentials { authority, certificate, key: key.serialize_pem() })
    }
}

/// A label that certificates and addresses can carry.
pub fn is_member_name(name: &str) -> bool {
    let labelled = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    labelled && begins && !name.ends_with('-') && name.len() <= 63
}

fn authority_params(now_ms: u64) -> CertificateParams {
    let mut params = params(COMMON_NAME, now_ms, CERTIFICATE_DAYS);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn params(name: &str, now_ms: u64, days: u64) -> CertificateParams {
    let date = |ms: u64| {
        let Civil { year, month, day, .. } = Civil::of_epoch_ms(ms);
        rcgen::date_time_ymd(i32::try_from(year).unwrap_or(i32::MAX), month, day)
    };
    let mut params = CertificateParams::default();
    params.not_before = date(now_ms.saturating_sub(CLOCK_DAYS * MS_PER_DAY));
    params.not_after = date(now_ms + (days + CLOCK_DAYS) * MS_PER_DAY);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Credentials {
    /// `NAME.pem` and `NAME.key` beside the authority's certificate. Older ones of that
    /// name are replaced.
    pub fn write(&self, directory: &Path, name: &str) -> Result<(), AuthorityError> {
        fs::create_dir_all(directory).map_err(file("make", directory))?;
        for (file_name, text, mode) in [
            (format!("{name}.key"), &self.key, 0o600),
            (format!("{name}.pem"), &self.certificate, 0o644),
            (CERTIFICATE_FILE.to_owned(), &self.authority, 0o644),
        ] {
            let path = directory.join(&file_name);
            let fresh = directory.join(format!(".{file_name}.new"));
            let _ = fs::remove_file(&fresh);
            write(&fresh, text, mode)?;
            fs::rename(&fresh, &path).map_err(file("replace", &path))?;
        }
        Ok(())
    }

    pub fn load(directory: &Path, name: &str) -> Result<Credentials, AuthorityError> {
        Ok(Credentials {
            authority: read(&directory.join(CERTIFICATE_FILE))?,
            certificate: read(&directory.join(format!("{name}.pem")))?,
            key: read(&directory.join(format!("{name}.key")))?,
        })
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }
}

fn file(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AuthorityError {
    let path = path.to_owned();
    move |source| AuthorityError::File { verb, path, source }
}

fn read(path: &Path) -> Result<String, AuthorityError> {
    fs::read_to_string(path).map_err(file("read", path))
}

/// A new file, with its mode from the first moment on.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), AuthorityError> {
    let written = || {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    written().map_err(file("write", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_the_owners_and_never_shown_or_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().join("authority");
        let authority = Authority::create(&at, 1_800_000_000_000).unwrap();
        let issued = authority.issue(&["worker-3"], 1_800_000_000_000, 1).unwrap();
        issued.write(&at, "worker-3").unwrap();
        issued.write(&at, "worker-3").unwrap();
        for (name, mode) in
            [("authority.key", 0o600), ("worker-3.key", 0o600), ("worker-3.pem", 0o644)]
        {
            let found = fs::metadata(at.join(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(found & !mode, 0, "{name}: {found:o}");
        }
        let shown = format!("{issued:?} {authority:?}");
        assert!(!shown.contains("PRIVATE"), "{shown}");
        let again = Authority::create(&at, 0).unwrap_err().to_string();
        assert!(again.contains("authority.key"), "{again}");
        assert_eq!(Credentials::load(&at, "worker-3").unwrap().key, issued.key);
    }

    #[test]
    fn names_are_labels() {
        for name in ["worker-3", "control", "a"] {
            assert!(is_member_name(name), "{name}");
        }
        let long = "a".repeat(64);
        for name in ["", "Worker", "3", "-a", "a-", "a.b", "*", "a b", &long] {
            assert!(!is_member_name(name), "{name}");
        }
    }
}
