-- Gives a new turn the first steps of the one that it is forked from. They were made there and paid for there, and their
-- approvals were for there. Without steps, it recalls and is tainted anew.
--   seqs  the former numbers of the messages that were copied; null: it is in the same conversation
create or replace function circles.copy_steps(turn uuid, seqs bigint[]) returns void
language plpgsql
as $$
declare
    t circles.turn := (select x from circles.turn x where x.id = turn);
    o circles.turn := (select x from circles.turn x where x.id = t.forked_from);
begin
    insert into circles.step (turn_id, number, kind, status, name, of_step, call, arguments, text, calls, tainted, read_seq,
        covers, fingerprint, receipt, begun_at, ended_at)
    select t.id, s.number, s.kind, s.status, s.name, s.of_step, s.call, s.arguments, s.text, s.calls, s.tainted,
        case when seqs is null then s.read_seq else circles.place_in(seqs, s.read_seq) end,
        s.covers, s.fingerprint, s.receipt, s.begun_at, s.ended_at
    from circles.step s where s.turn_id = o.id and s.number <= t.forked_after;
    update circles.turn x set tainted = x.tainted or o.tainted, recalled = o.recalled,
        read_seq = coalesce((select max(s.read_seq) from circles.step s
            where s.turn_id = t.id and s.kind = 'model' and s.status = 'succeeded'), 0),
        next_id = case when exists (select from circles.step s
            where s.turn_id = t.id and s.name = 'next_speaker' and s.status = 'succeeded') then o.next_id end
    where x.id = t.id and t.forked_after > 0;
end
$$;
