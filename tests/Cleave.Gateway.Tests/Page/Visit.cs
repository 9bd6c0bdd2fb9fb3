using Microsoft.Playwright;

namespace Cleave.Gateway.Tests.Page;

/// <summary>A page being looked at. It remembers every request that left for elsewhere and every complaint of the browser.</summary>
public sealed class Visit : IAsyncDisposable
{
    private readonly IBrowserContext _context;
    private readonly List<string> _strangers = [];
    private readonly List<string> _complaints = [];

    public Visit(IBrowserContext context, IPage page, Uri address)
    {
        _context = context;
        Page = page;
        string own = address.GetLeftPart(UriPartial.Authority);
        page.Request += (_, request) =>
        {
            if (!request.Url.StartsWith(own, StringComparison.Ordinal))
            {
                _strangers.Add(request.Url);
            }
        };
        page.PageError += (_, error) => _complaints.Add(error);
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning")
            {
                _complaints.Add(message.Text);
            }
        };
    }

    public IPage Page { get; }

    /// <summary>Nothing was asked of another server, and the browser (its content security policy included) had nothing to complain about.</summary>
    public void AssertQuiet()
    {
        Assert.Empty(_strangers);
        Assert.Empty(_complaints);
    }

    public ValueTask DisposeAsync() => _context.DisposeAsync();
}
