-- A turn that another one asked for has ended, somehow: the asker goes on with what it said, once all whom it has asked have
-- ended.
create or replace function circles.answer_asker() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    p circles.turn;
    s circles.step;
    said text;
begin
    select x.* into p from circles.turn x where x.id = new.parent_id and x.waiting_for = 'speaker' for update;
    if p.id is null then
        return null;
    end if;
    said := coalesce((select m.body from channels.message m where m.id = new.reply_id),
        case new.reason when 'silent' then 'The agent has nothing to say.'
            else concat('The agent gave no answer: ', new.status, ' ' || new.reason, '.') end);
    update circles.step x set ended_at = clock_timestamp(), tainted = new.tainted, text = said,
        status = case new.status when 'completed' then 'succeeded' else 'failed' end,
        -- The same for the same question with the same answer, and for nothing else.
        fingerprint = encode(sha256(convert_to(concat_ws(E'\n', x.name, x.arguments, said), 'UTF8')), 'hex')
    where x.turn_id = p.id and x.number = new.parent_step and x.status = 'started' returning x.* into s;
    perform circles.tell_step(s) where s.turn_id is not null;
    update circles.turn x set tainted = true where x.id = p.id and new.tainted and not x.tainted;
    if exists (select from circles.turn x where x.parent_id = p.id and x.finished_at is null) then
        return null;
    end if;
    -- The job that would end the waiting.
    update circles.turn x set job_id = null where x.id = p.id;
    perform jobs.cancel(p.job_id, null) where p.job_id is not null;
    update circles.turn x set status = 'running', waiting_for = null, holder = null where x.id = p.id;
    perform circles.tell_turn(p.id, 'started'), circles.enqueue_turn(p.id);
    return null;
end
$$;
create or replace trigger turn_answers after update of finished_at on circles.turn
for each row when (new.parent_id is not null and new.finished_at is not null and old.finished_at is null)
execute function circles.answer_asker();
