-- Writes changes of steps, for a run whose row the caller has locked. A step that somebody else has changed meanwhile
-- stays as it is: `was` has to be its status, null that of a step that is new. Of new ones the events are emitted here, of
-- others by `pipelines.tell_step`.
create or replace function pipelines.write_steps(r pipelines.run, steps jsonb) returns void
language plpgsql
as $$
declare
    s record;
    written pipelines.step;
    in_map boolean;
    added integer := 0;
    refused jsonb;
    passed jsonb;
begin
    for s in
        select * from jsonb_to_recordset(steps) as c (path text, type text, was text, status text, effect text,
            attempts integer, input jsonb, output jsonb, error jsonb, chosen text, wake_in_ms double precision,
            give_up_in_ms double precision, signal text, notify jsonb, approval jsonb, child jsonb, event jsonb, ask jsonb,
            answer jsonb, subscribe jsonb, asks boolean, breaker jsonb, fuel bigint, receipt jsonb)
        -- Runs of one pipeline share its breakers, and lock them in this order.
        order by pipelines.node_of(c.path), c.path
    loop
        -- The commit may be a repetition of one whose answer got lost.
        continue when s.was is distinct from (
            select o.status from pipelines.step o where o.run_id = r.id and o.path = s.path);
        written := null;
        passed := null;
        in_map := strpos(s.path, '[') > 0;
        if s.event is not null then
            refused := pipelines.emit_event(r, s.event);
            if refused is not null then
                s.status := 'failed';
                s.output := null;
                s.error := refused;
                update pipelines.run o set news = o.news + 1 where o.id = r.id;
            end if;
        end if;
        if s.effect = 'pure' and s.status = 'succeeded' and s.input ? 'skill' and exists (
            select from pipelines.step o where o.run_id = r.restarted_from and o.path = s.path and o.type = s.type
            and o.status = 'succeeded' and o.input = s.input and o.output is distinct from s.output)
        then
            s.status := 'failed';
            s.output := null;
            s.error := '{"code": "skill-differs", "detail": "The skill has computed another value from the same input than in the run that is restarted, so the steps between may not fit together."}';
            update pipelines.run o set news = o.news + 1 where o.id = r.id;
        end if;
        if s.breaker is not null and s.status = 'running' then
            passed := pipelines.pass_breaker(r, s.path);
            if passed ? 'open_ms' then
                refused := pipelines.hold_back(s.breaker, (passed ->> 'open_ms')::double precision);
                s.status := refused ->> 'status';
                s.error := refused -> 'error';
                s.wake_in_ms := (refused ->> 'wake_in_ms')::double precision;
                s.attempts := s.attempts - 1;
                update pipelines.run o set news = o.news + 1 where o.id = r.id;
            end if;
        elsif s.breaker is not null and s.status <> 'cancelled' then
            perform pipelines.tell_breaker(r, s.path, s.breaker, o.openings, s.status <> 'succeeded')
            from pipelines.step o where o.run_id = r.id and o.path = s.path;
        end if;
        if s.fuel is not null then
            update pipelines.run o set used = pipelines.plus(o.used, jsonb_build_object('fuel', s.fuel)) where o.id = r.id;
        end if;
        if s.was is null then
            insert into pipelines.step (run_id, path, type, status, effect, attempts, input, output, error, chosen,
                receipt, openings, wake_at, deadline_at, finished_at)
            values (r.id, s.path, s.type, s.status, s.effect, s.attempts, s.input, s.output, s.error, s.chosen,
                s.receipt, (passed ->> 'openings')::integer, clock_timestamp() + s.wake_in_ms * interval '1 millisecond',
                clock_timestamp() + s.give_up_in_ms * interval '1 millisecond',
                case when pipelines.is_end(s.status) then clock_timestamp() end)
            on conflict do nothing returning * into written;
            if found then
                added := added + 1;
                if not in_map or s.status in ('waiting', 'uncertain') then
                    perform pipelines.tell('step.' || s.status, r.pipeline_id, r.id,
                        jsonb_build_object('run', r.id, 'path', s.path, 'status', s.status));
                end if;
            end if;
        else
            update pipelines.step o
            set status = s.status, attempts = s.attempts, input = s.input, output = s.output, error = s.error,
                chosen = s.chosen, wake_at = clock_timestamp() + s.wake_in_ms * interval '1 millisecond',
                deadline_at = coalesce(clock_timestamp() + s.give_up_in_ms * interval '1 millisecond', o.deadline_at),
                openings = coalesce((passed ->> 'openings')::integer, o.openings),
                receipt = coalesce(s.receipt, o.receipt),
                answer = case when s.status in ('waiting', 'uncertain') and s.ask is null and s.child is null
                    then coalesce(nullif(s.answer, 'null'), o.answer) end,
                finished_at = case when pipelines.is_end(s.status) then clock_timestamp() end
            where o.run_id = r.id and o.path = s.path and o.status = s.was returning o.* into written;
        end if;
        continue when written.run_id is null;
        if s.was is null and s.path = 'finally' then
            -- From here on its own time counts, not that of the run.
            update pipelines.run o set deadline_at = null where o.id = r.id;
        end if;
        if s.status in ('cancelled', 'timed_out') then
            perform pipelines.stop(r.id, written.approval_id, written.child_id, written.conversation_id);
        end if;
        if s.subscribe is not null then
            perform pipelines.await_events(r, s.path, s.subscribe);
        elsif written.subscriptions is not null and pipelines.is_end(s.status) then
            perform events.drop_subscriptions(written.subscriptions);
        end if;
        if s.ask is not null then
            perform pipelines.ask_agent(r, s.path, s.ask);
        end if;
        if s.child is not null then
            perform pipelines.start_child(r, s.path, s.child);
        end if;
        if s.signal is not null then
            update pipelines.signal g set taken_by = s.path where g.run_id = r.id and g.id = s.signal;
        end if;
        if s.notify is not null then
            perform pipelines.note(r.account_id, s.notify -> 'to', 'run', s.notify ->> 'title', s.notify ->> 'body',
                '/runs/' || r.id);
        end if;
        if s.approval is not null then
            perform pipelines.ask(r, s.path, s.approval);
        end if;
        if s.status = 'uncertain' and s.asks then
            perform inbox.notify(array[r.account_id], 'run', format('Step %s is uncertain', s.path),
                'Nobody knows whether its request arrived. Decide whether it counts.', '/runs/' || r.id, null,
                'run:' || r.id);
        end if;
        if in_map and (r.progress_at is null or r.progress_at < clock_timestamp() - interval '250 ms') then
            update pipelines.run o set progress_at = clock_timestamp() where o.id = r.id returning o.* into r;
            perform pipelines.tell('step.progress', r.pipeline_id, r.id,
                jsonb_build_object('run', r.id, 'path', split_part(s.path, '[', 1)));
        end if;
    end loop;
    if added > 0 then
        update pipelines.run o set step_count = o.step_count + added where o.id = r.id;
    end if;
end
$$;
