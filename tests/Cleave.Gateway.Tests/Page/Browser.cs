using Cleave.Gateway.Tests.Clients;
using Microsoft.Playwright;

namespace Cleave.Gateway.Tests.Page;

/// <summary>The system's Chromium, headless, started by the first test that needs it.</summary>
public sealed class Browser : IAsyncDisposable
{
    private IPlaywright? _playwright;
    private IBrowser? _browser;

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null)
        {
            await _browser.DisposeAsync();
        }

        _playwright?.Dispose();
    }

    /// <summary>Opens the page at an address in a profile of its own. Skips the test where there is no Chromium.</summary>
    public async Task<Visit> VisitAsync(Uri address, int width = 1280, int height = 860, ColorScheme scheme = ColorScheme.Light)
    {
        string path = ClientPrograms.RequireChromium();
        _playwright ??= await Playwright.CreateAsync();
        _browser ??= await _playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
        {
            ExecutablePath = path,
            Args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
        });
        IBrowserContext context = await _browser.NewContextAsync(new BrowserNewContextOptions { ViewportSize = new ViewportSize { Width = width, Height = height }, ColorScheme = scheme });
        context.SetDefaultTimeout(30_000);
        Assertions.SetDefaultExpectTimeout(30_000);
        var visit = new Visit(context, await context.NewPageAsync(), address);
        await visit.Page.GotoAsync(address.ToString());
        return visit;
    }
}
