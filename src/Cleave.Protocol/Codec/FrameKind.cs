namespace Cleave.Protocol.Codec;

/// <summary>First byte of every frame. Client frames are below 128, worker frames above.</summary>
internal enum FrameKind : byte
{
    Open = 1,
    Step = 2,
    Truncate = 3,
    Fork = 4,
    Ping = 5,
    Close = 6,
    Opened = 129,
    Rows = 130,
    Pong = 131,
    Error = 132,
}
