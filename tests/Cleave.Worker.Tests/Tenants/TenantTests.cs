using Cleave.Protocol.Pairing;
using Cleave.Worker.Tenants;
using Cleave.Worker.Tests.Support;

namespace Cleave.Worker.Tests.Tenants;

public sealed class TenantTests : IDisposable
{
    private readonly string _directory = Path.Combine(Path.GetTempPath(), "cleave-" + Guid.NewGuid().ToString("N"));

    public void Dispose()
    {
        if (Directory.Exists(_directory))
        {
            Directory.Delete(_directory, recursive: true);
        }
    }

    [Fact]
    public void Tokens_are_stored_hashed_in_a_file_only_its_owner_reads()
    {
        string token = PairingLink.NewToken();
        var file = new TenantFile(_directory);
        Assert.Empty(file.Load());
        var quota = new TenantQuota { Sessions = 3, Streams = 4, Connections = 5, KvTokens = 600, RowsPerSecond = 70 };
        file.Put(new Tenant("alice", TenantTable.HashToken(token), quota, new DateTimeOffset(2030, 1, 2, 3, 4, 5, TimeSpan.Zero)));
        file.Put(new Tenant("bob", TenantTable.HashToken(PairingLink.NewToken()), new TenantQuota(), default));
        string path = Assert.Single(Directory.GetFiles(_directory));
        Assert.DoesNotContain(token, File.ReadAllText(path));
        Assert.Equal(quota, new TenantFile(_directory).Load().Single(t => t.Name == "alice").Quota);
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(_directory));
        }

        var table = new TenantTable();
        table.Replace(file.Load());
        Assert.Equal("alice", table.Authenticate(token));
        Assert.Null(table.Authenticate(token + "A"));
        Assert.Null(table.Authenticate(""));
        Assert.Null(table.Authenticate(null));
        Assert.Null(table.Authenticate(new string('a', 100_000)));
        Assert.Null(table.Authenticate(TenantTable.HashToken(token)));

        Assert.True(file.Remove("alice"));
        Assert.False(file.Remove("alice"));
        Assert.Equal("bob", Assert.Single(file.Load()).Name);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("../x")]
    [InlineData("\u001b[2J")]
    public void Names_are_plain(string name) =>
        Assert.Throws<ArgumentException>(() => new TenantFile(_directory).Put(new Tenant(name, TenantTable.HashToken("x"), new TenantQuota(), default)));

    [Theory]
    [InlineData("{")]
    [InlineData("[{}]")]
    [InlineData("[{\"name\":null,\"tokenSha256\":\"00\",\"quota\":{},\"createdAt\":\"2030-01-01T00:00:00Z\"}]")]
    [InlineData("[{\"name\":\"a\",\"tokenSha256\":\"zz\",\"quota\":{},\"createdAt\":\"2030-01-01T00:00:00Z\"}]")]
    [InlineData("[{\"name\":\"a\",\"tokenSha256\":\"00\",\"quota\":{},\"createdAt\":\"2030-01-01T00:00:00Z\"}]")]
    public void A_damaged_file_is_refused_by_name(string content)
    {
        var file = new TenantFile(_directory);
        File.WriteAllText(Path.Combine(_directory, "tenants.json"), content);
        Assert.Contains("tenants.json", Assert.Throws<InvalidDataException>(file.Load).Message);
    }

    [Fact]
    public async Task A_running_worker_follows_the_file()
    {
        var file = new TenantFile(_directory);
        string token = PairingLink.NewToken();
        file.Put(new Tenant("alice", TenantTable.HashToken(token), new TenantQuota(), default));
        var table = new TenantTable();
        table.Replace(file.Load());
        var revoked = new List<string>();
        table.Revoked += revoked.Add;
        var time = new ManualTime();
        await using var watch = new TenantWatch(file, table, time, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        string next = PairingLink.NewToken();
        file.Put(new Tenant("bob", TenantTable.HashToken(next), new TenantQuota(), default));
        File.SetLastWriteTimeUtc(Path.Combine(_directory, "tenants.json"), new DateTime(2031, 1, 1));
        time.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal("bob", table.Authenticate(next));
        Assert.Empty(revoked);

        // A file that cannot be read changes nothing.
        File.WriteAllText(Path.Combine(_directory, "tenants.json"), "{");
        time.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal("alice", table.Authenticate(token));

        // A renewed token voids the old one, and what it opened.
        File.Delete(Path.Combine(_directory, "tenants.json"));
        file.Put(new Tenant("alice", TenantTable.HashToken(next), new TenantQuota(), default));
        File.SetLastWriteTimeUtc(Path.Combine(_directory, "tenants.json"), new DateTime(2032, 1, 1));
        time.Advance(TimeSpan.FromSeconds(3));
        Assert.Null(table.Authenticate(token));
        Assert.Equal("alice", table.Authenticate(next));
        Assert.Equal(["alice", "bob"], revoked.Order());
    }

    [Fact]
    public void A_row_bucket_holds_a_second_and_can_be_overdrawn_once()
    {
        var time = new ManualTime();
        var bucket = new RowBucket(time);
        Assert.True(bucket.IsOpen(100));
        bucket.Take(350);
        Assert.False(bucket.IsOpen(100));
        Assert.InRange(bucket.UntilOpen(100).TotalSeconds, 2.5, 2.51);
        time.Advance(TimeSpan.FromSeconds(2.6));
        Assert.True(bucket.IsOpen(100));
        time.Advance(TimeSpan.FromHours(1));
        Assert.True(bucket.IsOpen(100));
        bucket.Take(101);
        Assert.False(bucket.IsOpen(100));
    }
}
