// dotnet run --project samples/FiveLines -- models/cleave-demo-24m.q8_0.gguf [cleave://host:port#fingerprint:token]
using Cleave.Gateway.Chat;
using Microsoft.Extensions.AI;

using IChatClient chat = await SplitChatClient.ConnectAsync(args[0], args.ElementAtOrDefault(1));
await foreach (ChatResponseUpdate update in chat.GetStreamingResponseAsync("Name five musical instruments."))
{
    Console.Write(update.Text);
}
