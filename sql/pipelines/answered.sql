-- Tells the step or the firing that waits for a conversation how it has ended, if all is said there.
create or replace function pipelines.answered(conversation uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    of_run uuid;
    said jsonb;
begin
    select s.run_id into of_run from pipelines.step s where s.conversation_id = answered.conversation;
    -- The run first, as everybody does.
    perform from pipelines.run r where r.id = of_run for update;
    said := circles.answer_of(answered.conversation);
    if said is null and not exists (select from circles.conversation v where v.channel_id = answered.conversation) then
        -- Somebody has deleted it.
        said := jsonb_build_object('status', 'cancelled', 'reason', null, 'text', '',
            'usage', circles.usage_of(answered.conversation));
    elsif said is null then
        return;
    end if;
    update circles.conversation v set task = null where v.channel_id = answered.conversation;
    update pipelines.step s set answer = said
    where s.conversation_id = answered.conversation and s.status = 'waiting' and s.answer is null;
    if found then
        perform pipelines.book(of_run, answered.conversation);
        perform pipelines.wake(of_run);
    end if;
    perform pipelines.end_firing(f.id, case said ->> 'status' when 'completed' then 'succeeded' when 'cancelled'
        then 'cancelled' else 'failed' end, case when said ->> 'status' <> 'completed' then
        concat_ws(': ', said ->> 'status', said ->> 'reason') end)
    from pipelines.firing f where f.conversation_id = answered.conversation;
end
$$;
grant execute on function pipelines.answered to gather_pipeline_run;
