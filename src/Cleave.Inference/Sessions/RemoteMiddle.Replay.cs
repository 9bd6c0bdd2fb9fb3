using Cleave.Engine;
using Cleave.Protocol.Frames;

namespace Cleave.Inference.Sessions;

/// <summary>Replay: what the lost worker held, built anew on another one (or on the same, when it lost the session).</summary>
public sealed partial class RemoteMiddle
{
    /// <summary>A new session on the best worker, built from the log. Returns the rows sent again.</summary>
    private async Task<int> ReplayAsync(bool nextLost, CancellationToken cancellationToken)
    {
        // 1. A worker and a session; of a chain, all of them, and the first one stays when it was not the one lost.
        string fingerprint = KernelFingerprint;
        _worker = await (nextLost ? _roster.KeepAsync(_worker.Link, cancellationToken) : _roster.ReplaceAsync(_worker.Link, cancellationToken));
        if (_tail is not null)
        {
            await _tail.PickAsync(cancellationToken);
        }

        Tell(new SessionEvent(SessionEventKind.Replaying, $"sending {_log.RowCount} rows to {Names}", Rows: _log.RowCount));
        if (KernelFingerprint != fingerprint)
        {
            Tell(new SessionEvent(
                SessionEventKind.IdentityNotPromised,
                $"{Names} computes with {KernelFingerprint}, before it was {fingerprint}: from here on the text may differ from an undisturbed run"));
        }

        await OpenSessionAsync(_worker.Link, cancellationToken);
        ulong seq = 0;
        ulong answered = 0;

        // 2. Committed rows, a chain, in chunks that overlap on the way; each chunk commits the one before.
        ulong[] keep = [];
        int chunkRows = Math.Min(128, MaxRowsPerStep);
        for (int start = 0; start < _log.Committed.Count; start += chunkRows)
        {
            int count = Math.Min(chunkRows, _log.Committed.Count - start);
            var rows = new StepRow[count];
            byte[] payload = new byte[count * _rowBytes];
            for (int i = 0; i < count; i++)
            {
                int position = start + i;
                rows[i] = new StepRow(_log.Committed[position], position == 0 ? 0 : _log.Committed[position - 1], RowFlags.None);
                _log.CommittedPayload(position).CopyTo(payload.AsSpan(i * _rowBytes));
            }

            await ReplayStepAsync(++seq, answered, keep, rows, payload);
            keep = [.. rows.Select(row => row.Id)];
            answered = await DrainReplayAsync(seq, answered, MaxStepsInFlight - 1, cancellationToken);
        }

        // 3. Live rows (and the last commit).
        TreeRow[] live = [.. _log.Live];
        for (int sent = 0; sent < live.Length || keep.Length > 0;)
        {
            TreeRow[] part = live[sent..Math.Min(live.Length, sent + chunkRows)];
            byte[] payload = new byte[part.Length * _rowBytes];
            for (int i = 0; i < part.Length; i++)
            {
                _log.LivePayload(part[i].Id).CopyTo(payload.AsSpan(i * _rowBytes));
            }

            await ReplayStepAsync(++seq, answered, keep, [.. part.Select(row => new StepRow(row.Id, row.ParentId, RowFlags.None))], payload);
            keep = [];
            sent += part.Length;
            answered = await DrainReplayAsync(seq, answered, MaxStepsInFlight - 1, cancellationToken);
        }

        await DrainReplayAsync(seq, answered, 0, cancellationToken);

        // 4. Unanswered frames, under new numbers.
        _received = seq;
        _seq = seq;
        for (int i = 0; i < _pending.Count; i++)
        {
            _pending[i] = _pending[i] with { Seq = ++_seq };
            await SendAsync(_pending[i]);
        }

        return _log.RowCount;
    }

    private ValueTask ReplayStepAsync(ulong seq, ulong answered, ulong[] keep, StepRow[] rows, byte[] payload) =>
        _stream!.SendAsync(new StepFrame(seq, 0, answered, keep, rows, payload), _lifetime.Token);

    /// <summary>Receives answers until at most <paramref name="inFlight"/> steps are unanswered; returns the last answered.</summary>
    private async Task<ulong> DrainReplayAsync(ulong sent, ulong answered, int inFlight, CancellationToken cancellationToken)
    {
        while (sent - answered > (ulong)inFlight)
        {
            if (await NextAsync(cancellationToken) is not RowsFrame frame || frame.Seq != answered + 1)
            {
                throw Broken($"the worker did not answer replayed step {answered + 1}");
            }

            answered = frame.Seq;
        }

        return answered;
    }
}
