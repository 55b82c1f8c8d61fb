//! Mutual TLS between members: each end shows a certificate of the one authority that
//! both trust, and nothing is read from anybody who does not. TLS 1.3 only, without
//! resumption: every connection proves itself anew.

use std::{fmt, io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::{Resumption, verify_server_name},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::authority::{self, Credentials};

/// A process's proof of who it is, ready for use.
#[derive(Clone)]
pub struct Identity {
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the credentials cannot be used: {0}")]
pub struct BadCredentials(String);

impl Identity {
    pub fn new(credentials: &Credentials) -> Result<Identity, BadCredentials> {
        let bad = |error: &dyn fmt::Display| BadCredentials(error.to_string());
        let read = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes());
        let mut roots = RootCertStore::empty();
        let authority = read(&credentials.authority).map_err(|error| bad(&error))?;
        roots.add(authority).map_err(|error| bad(&error))?;
        let chain = vec![read(&credentials.certificate).map_err(|error| bad(&error))?];
        let key = PrivateKeyDer::from_pem_slice(credentials.key().as_bytes())
            .map_err(|error| bad(&error))?;
        let client = client_config(roots.clone(), chain.clone(), key.clone_key());
        let server = server_config(roots, chain, key);
        Ok(Identity {
            connector: TlsConnector::from(Arc::new(client.map_err(|error| bad(&error))?)),
            acceptor: TlsAcceptor::from(Arc::new(server?)),
        })
    }

    /// The other end must be `member`.
    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        member: &str,
    ) -> io::Result<client::TlsStream<TcpStream>> {
        let name = ServerName::try_from(authority::host_name(member));
        let name = name.map_err(|_| io::Error::other("it has no name that members have"))?;
        self.connector.connect(name, stream).await
    }

    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(server::TlsStream<TcpStream>, CertificateDer<'static>)> {
        let stream = self.acceptor.accept(stream).await?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let certificate = chain.first().cloned();
        let certificate = certificate.ok_or_else(|| io::Error::other("it has no certificate"))?;
        Ok((stream, certificate))
    }
}

fn client_config(
    roots: RootCertStore,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn server_config(
    roots: RootCertStore,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, BadCredentials> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| BadCredentials(error.to_string()))?;
    let config = || {
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    };
    config().map_err(|error: rustls::Error| BadCredentials(error.to_string()))
}

/// Whether a certificate, verified before, is one of this member.
pub(super) fn names(certificate: &CertificateDer<'_>, member: &str) -> bool {
    let parsed = ParsedCertificate::try_from(certificate);
    let name = ServerName::try_from(authority::host_name(member));
    matches!((parsed, name), (Ok(parsed), Ok(name)) if verify_server_name(&parsed, &name).is_ok())
}
