using System.Text;
using Cleave.Protocol.Frames;
using Cleave.Protocol.Pairing;

namespace Cleave.Protocol.Codec;

/// <summary>The open frame, which has parts of its own.</summary>
internal ref partial struct FrameReader
{
    private OpenFrame? ReadOpen()
    {
        if (_bytes.Length < FrameCodec.OpenBytes)
        {
            return Fail<OpenFrame>($"An open frame has at least {FrameCodec.OpenBytes} bytes, not {_bytes.Length}.");
        }

        _position = 1;
        byte wireType = U8();
        ushort version = U16();
        uint layerStart = U32();
        uint layerEnd = U32();
        uint maxKvTokens = U32();
        byte resumes = U8();
        byte takesHop = U8();
        int nextBytes = U16();
        if (!Zero(4))
        {
            return null;
        }

        if (wireType > (byte)WireType.Q8)
        {
            Error = new WireError(WireErrorCode.UnsupportedWireType, $"Wire type {wireType} is unknown; known are 0 to {(byte)WireType.Q8}.", SessionSurvives: false);
            return null;
        }

        if (layerStart > layerEnd || layerEnd > int.MaxValue)
        {
            return Fail<OpenFrame>($"An open frame asks for layers {layerStart}..{layerEnd}.");
        }

        if (maxKvTokens > int.MaxValue)
        {
            return Fail<OpenFrame>($"An open frame asks for {maxKvTokens} KV tokens, more than {int.MaxValue}.");
        }

        int expected = FrameCodec.OpenBytes + (resumes == 0 ? 0 : FrameCodec.ResumeBytes) + nextBytes;
        if (resumes > 1 || takesHop > 1 || expected != _bytes.Length)
        {
            return Fail<OpenFrame>($"An open frame of {_bytes.Length} bytes has resume flag {resumes}, hop flag {takesHop} and a next worker of {nextBytes} bytes.");
        }

        if (takesHop + nextBytes > 0 && (version < ProtocolVersion.Hops || resumes == 1))
        {
            return Fail<OpenFrame>($"An open frame of version {version} with resume flag {resumes} speaks of hops: they are part of a new session, from version {ProtocolVersion.Hops} on.");
        }

        ResumeTicket? ticket = resumes == 0 ? null : new ResumeTicket(Secret(), Secret(), U64());
        NextHop? next = null;
        return nextBytes > 0 && (next = ReadNext(nextBytes, layerEnd)) is null
            ? null
            : new OpenFrame(version, (int)layerStart, (int)layerEnd, (WireType)wireType, (int)maxKvTokens, ticket) { TakesHop = takesHop == 1, Next = next };
    }

    private NextHop? ReadNext(int bytes, uint layerEnd)
    {
        if (bytes <= FrameCodec.NextBytes || bytes > FrameCodec.NextBytes + PairingLink.MaxHostLength)
        {
            return Fail<NextHop>($"An open frame's next worker has {bytes} bytes; {FrameCodec.NextBytes + 1} to {FrameCodec.NextBytes + PairingLink.MaxHostLength} are possible.");
        }

        byte[] fingerprint = Take(PairingLink.FingerprintBytes).ToArray();
        byte[] sessionId = Secret();
        byte[] secret = Secret();
        uint nextEnd = U32();
        ushort port = U16();
        ReadOnlySpan<byte> host = Take(bytes - FrameCodec.NextBytes);
        if (nextEnd <= layerEnd || nextEnd > int.MaxValue || port == 0)
        {
            return Fail<NextHop>($"An open frame for layers up to {layerEnd} names a next worker for layers up to {nextEnd}, at port {port}.");
        }

        // ASCII alone, so that the name has one spelling.
        if (!Ascii.IsValid(host) || !PairingLink.IsHost(Encoding.ASCII.GetString(host)))
        {
            return Fail<NextHop>($"The {host.Length} bytes of an open frame's next host are no host name.");
        }

        return new NextHop(Encoding.ASCII.GetString(host), port, fingerprint, (int)nextEnd, sessionId, secret);
    }
}
