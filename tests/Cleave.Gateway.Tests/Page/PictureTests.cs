using System.Net;
using Cleave.Gateway.Tests.Clients;
using Cleave.Inference.Decoding;
using Cleave.Protocol.Wan;
using Microsoft.Playwright;

namespace Cleave.Gateway.Tests.Page;

/// <summary>
/// How the page looks: legible in light and dark, on a desktop and on a phone. With CLEAVE_SCREENSHOTS=DIRECTORY the pictures of
/// docs/images are written there.
/// </summary>
public sealed class PictureTests(Browser browser) : IClassFixture<Browser>
{
    private static readonly string? s_folder = Environment.GetEnvironmentVariable("CLEAVE_SCREENSHOTS");

    [Fact]
    public async Task It_is_legible_in_light_and_dark_on_a_desktop_and_on_a_phone()
    {
        ClientPrograms.RequireChromium();
        await using WorkerProcess worker = await WorkerProcess.StartAsync();
        await using WanEmulator wan = WanEmulator.Start(new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, worker.Link.Port), new WanOptions { Rtt = TimeSpan.FromMilliseconds(80) });
        using var draft = DraftModel.Load(DemoModel.DraftPath, DemoModel.Tokenizer);
        await using TestGateway gateway = await TestGateway.StartAsync(worker.Link.At("127.0.0.1", wan.ListenEndPoint.Port), TimeSpan.FromSeconds(60), draft);
        foreach ((string name, int width, int height, ColorScheme scheme) in ((string, int, int, ColorScheme)[])[
            ("page-light", 1280, 800, ColorScheme.Light), ("page-dark", 1280, 800, ColorScheme.Dark), ("page-phone", 390, 780, ColorScheme.Light)])
        {
            await using Visit visit = await browser.VisitAsync(gateway.Address, width, height, scheme);
            IPage page = visit.Page;
            bool phone = width < 760;
            if (phone)
            {
                await page.GetByLabel("Conversations", new() { Exact = true }).And(page.GetByRole(AriaRole.Button)).ClickAsync();
            }

            await page.GetByRole(AriaRole.Button, new() { Name = "Settings" }).ClickAsync();
            await page.GetByLabel("Temperature").FillAsync("0");
            await page.GetByLabel("Longest answer").FillAsync("120");
            await AssertLegibleAsync(page, "#settings");
            await page.GetByRole(AriaRole.Button, new() { Name = "Done" }).ClickAsync();
            if (phone)
            {
                await page.Keyboard.PressAsync("Escape");
            }

            await AssertLegibleAsync(page, "body");
            if (!phone)
            {
                await page.GetByRole(AriaRole.Checkbox).CheckAsync();
                await AskAsync(page, "Name five musical instruments.");
            }

            await AskAsync(page, phone ? "Tell me a short story about a lighthouse." : "Write a Python function that adds two numbers.");
            await page.Mouse.MoveAsync(1, 1);
            byte[] picture = await page.ScreenshotAsync(new() { Path = s_folder is null ? null : Path.Combine(s_folder, name + ".png"), Animations = ScreenshotAnimations.Disabled });
            Assert.True(picture.Length > 10_000, "the page is empty");
            await AssertLegibleAsync(page, "body");
            visit.AssertQuiet();
        }
    }

    private static async Task AskAsync(IPage page, string text)
    {
        await page.GetByLabel("Message", new() { Exact = true }).FillAsync(text);
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(page.Locator("#stop")).ToBeHiddenAsync(new() { Timeout = 120_000 });
    }

    /// <summary>Every visible text has WCAG's contrast of 4.5 against what lies behind it.</summary>
    private static async Task AssertLegibleAsync(IPage page, string root) => Assert.Equal("", await page.EvaluateAsync<string>("""
        root => {
          const parse = text => { const n = text.match(/[\d.]+/g).map(Number); return { r: n[0], g: n[1], b: n[2], a: n[3] ?? 1 }; };
          const over = (top, under) => ({ r: top.r * top.a + under.r * (1 - top.a), g: top.g * top.a + under.g * (1 - top.a), b: top.b * top.a + under.b * (1 - top.a), a: 1 });
          const behind = node => {
            if (!node) return { r: 255, g: 255, b: 255, a: 1 };
            const color = parse(getComputedStyle(node).backgroundColor);
            return color.a === 1 ? color : over(color, behind(node.parentElement));
          };
          const light = c => { const f = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; return 0.2126 * f(c.r) + 0.7152 * f(c.g) + 0.0722 * f(c.b); };
          const bad = [];
          const walker = document.createTreeWalker(document.querySelector(root), NodeFilter.SHOW_TEXT);
          while (walker.nextNode()) {
            const node = walker.currentNode.parentElement;
            if (!walker.currentNode.data.trim() || node.closest('svg, noscript, .sr, .skip, :disabled') || !node.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
            const back = behind(node);
            const [a, b] = [light(over(parse(getComputedStyle(node).color), back)), light(back)].sort((x, y) => y - x);
            const contrast = (a + 0.05) / (b + 0.05);
            if (contrast < 4.5) bad.push(`${contrast.toFixed(2)}: ${walker.currentNode.data.trim().slice(0, 40)} (${node.className || node.tagName})`);
          }
          return bad.join('\n');
        }
        """, root));
}
