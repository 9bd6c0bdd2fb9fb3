namespace Cleave.Worker.Tests.Support;

/// <summary>Waits for what other threads will have done.</summary>
internal static class Eventually
{
    public static Task Holds(Func<bool> condition, string what = "the condition") => HoldsAsync(() => Task.FromResult(condition()), what);

    public static async Task HoldsAsync(Func<Task<bool>> condition, string what = "the condition")
    {
        for (int i = 0; i < 4000; i++)
        {
            if (await condition())
            {
                return;
            }

            await Task.Delay(5, TestContext.Current.CancellationToken);
        }

        Assert.Fail($"{what} did not come to hold in 20 s");
    }
}
