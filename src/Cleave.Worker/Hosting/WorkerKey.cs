using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Cleave.Worker.Hosting;

/// <summary>
/// The worker's identity: an ECDSA P-256 key. Clients pin the key, so the certificate around it is made anew at every
/// start and its dates and names do not matter.
/// </summary>
public static class WorkerKey
{
    private const string FileName = "worker-key.pem";

    /// <summary>The key of a directory, made (0600) when there is none yet.</summary>
    /// <exception cref="InvalidDataException">The file is readable by others, or holds no such key.</exception>
    public static ECDsa LoadOrCreate(string keyDirectory)
    {
        string path = Path.Combine(PrivateFiles.EnsureDirectory(keyDirectory), FileName);
        if (!File.Exists(path))
        {
            ECDsa made = Create();
            PrivateFiles.Write(path, System.Text.Encoding.ASCII.GetBytes(made.ExportPkcs8PrivateKeyPem()));
            return made;
        }

        if (PrivateFiles.ExposureProblem(path) is { } problem)
        {
            throw new InvalidDataException(problem);
        }

        var key = ECDsa.Create();
        try
        {
            key.ImportFromPem(File.ReadAllText(path));
            return key;
        }
        catch (Exception e) when (e is ArgumentException or CryptographicException)
        {
            key.Dispose();
            throw new InvalidDataException($"{path} holds no usable private key. Remove it for a new one; every pairing link is then void.", e);
        }
    }

    /// <summary>A key that lives as long as this process.</summary>
    public static ECDsa Create() => ECDsa.Create(ECCurve.NamedCurves.nistP256);

    /// <summary>A self-signed certificate around <paramref name="key"/>.</summary>
    public static X509Certificate2 Certify(ECDsa key, TimeProvider timeProvider)
    {
        var request = new CertificateRequest("CN=cleave-worker", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], critical: false));
        DateTimeOffset now = timeProvider.GetUtcNow();
        using X509Certificate2 made = request.CreateSelfSigned(now.AddDays(-1), now.AddYears(10));

        // Through PKCS#12, because some platforms do not serve a key that was never stored.
        return X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);
    }

    /// <summary>SHA-256 of the public key, as in pairing links.</summary>
    public static byte[] Fingerprint(ECDsa key) => SHA256.HashData(key.ExportSubjectPublicKeyInfo());
}
