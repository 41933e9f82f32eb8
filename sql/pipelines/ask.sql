-- Asks for the approval of a step. If those who are asked can't give it, the step fails.
--   asked  {"who", "question", "detail", "digest", "need", "form", "self", "within_ms"}
create or replace function pipelines.ask(r pipelines.run, path text, asked jsonb) returns void
language plpgsql
as $$
declare
    opened uuid;
begin
    opened := inbox.ask('run:' || r.id, asked ->> 'question', asked ->> 'detail', asked ->> 'digest',
        array(select jsonb_array_elements_text(asked -> 'who'))::uuid[],
        clock_timestamp() + (asked ->> 'within_ms')::bigint * interval '1 millisecond', r.account_id,
        (asked ->> 'need')::integer, nullif(asked -> 'form', 'null'), (asked ->> 'self')::boolean);
    update pipelines.step s set approval_id = opened where s.run_id = r.id and s.path = ask.path;
exception when check_violation then
    update pipelines.step s
    set status = 'failed', finished_at = clock_timestamp(), error = jsonb_build_object('code', 'approval-rejected',
        'detail', 'Those who are asked are not accounts or teams, or not enough of them can decide.')
    where s.run_id = r.id and s.path = ask.path;
    update pipelines.run o set news = o.news + 1 where o.id = r.id;
end
$$;
