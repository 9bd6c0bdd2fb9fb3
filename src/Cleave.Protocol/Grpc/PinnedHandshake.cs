using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Cleave.Protocol.Pairing;

namespace Cleave.Protocol.Grpc;

/// <summary>
/// TLS 1.3 with one trusted key: the SHA-256 of the server's public key must be the pairing link's. Checked inside the
/// handshake, so nothing of ours (the token first of all) is sent to anyone else. Names, dates and authorities do not
/// matter: the pin says more than any of them.
/// </summary>
internal sealed class PinnedHandshake(PairingLink pairing)
{
    private string? _problem;

    /// <summary>Why the last handshake was refused; null when it was not for its key.</summary>
    public string? Problem => Volatile.Read(ref _problem);

    public SslClientAuthenticationOptions Options() => new()
    {
        TargetHost = pairing.Host,
        EnabledSslProtocols = SslProtocols.Tls13,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        RemoteCertificateValidationCallback = (_, certificate, _, _) => IsPinned(certificate),

        // A resumed TLS session would not show its certificate again.
        AllowTlsResume = false,
    };

    /// <summary>SHA-256 of the public key (SPKI) of a certificate.</summary>
    public static byte[] FingerprintOf(X509Certificate2 certificate) => SHA256.HashData(certificate.PublicKey.ExportSubjectPublicKeyInfo());

    private bool IsPinned(X509Certificate? certificate)
    {
        if (certificate is not X509Certificate2 full)
        {
            Volatile.Write(ref _problem, $"The worker at {pairing.Address} showed no certificate.");
            return false;
        }

        byte[] seen = FingerprintOf(full);
        bool pinned = CryptographicOperations.FixedTimeEquals(seen, pairing.Fingerprint.Span);
        Volatile.Write(ref _problem, pinned ? null :
            $"The worker at {pairing.Address} has another key than the pairing link says. Expected {PairingLink.FormatFingerprint(pairing.Fingerprint.Span)}, "
            + $"seen {PairingLink.FormatFingerprint(seen)}. Nothing was sent. If its key was renewed on purpose, pair again with the link it prints; otherwise someone may be in between.");
        return pinned;
    }
}
