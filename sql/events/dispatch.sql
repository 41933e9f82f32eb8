-- Matches events that were committed since the last call against the subscriptions, and starts the work of those that
-- fit, in one transaction with how far it came: so every event counts once for each subscription, however late it was
-- committed, and the writers of events wait for nothing. One worker at a time does so; it leads for three seconds after
-- each call, and `leads` is false for the others. At most about `most` events are matched; `more` says that there are
-- more.
create or replace function events.dispatch(worker text, most integer) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    d events.dispatcher;
    -- The snapshot is taken before this transaction has a number, so that its own events are seen next time.
    visible pg_snapshot := pg_current_snapshot();
    final uuid;
    pair record;
    done uuid;
    whose uuid;
begin
    select * into d from events.dispatcher;
    if d.worker <> dispatch.worker and d.leads_until > clock_timestamp() then
        return '{"leads": false, "events": false, "started": false, "more": false}';
    end if;
    -- Most looks find nothing, and write nothing.
    if d.worker = dispatch.worker and d.leads_until > clock_timestamp() + interval '1500 ms' and d.until is null
        and not exists (select from events.between(d.seen, visible))
    then
        return '{"leads": true, "events": false, "started": false, "more": false}';
    end if;
    select * into d from events.dispatcher for update skip locked;
    -- Another worker leads, or led a moment ago and saw more than this one.
    if not found or (d.worker <> dispatch.worker and d.leads_until > clock_timestamp())
        or not pg_visible_in_snapshot(d.xid, visible)
    then
        return '{"leads": false, "events": false, "started": false, "more": false}';
    end if;
    if d.worker is distinct from dispatch.worker then
        perform events.rebase(visible);
        select * into d from events.dispatcher;
    end if;

    visible := coalesce(d.until, visible);
    -- The topics of one event are of one id, so they are matched together.
    select b.id into final from events.between(d.seen, visible) b where d.last is null or b.id > d.last
    order by b.id offset most - 1 limit 1;
    for pair in
        select s, e from events.between(d.seen, visible) e cross join lateral events.wanting(e) s
        where (d.last is null or e.id > d.last) and (final is null or e.id <= final)
        order by e.id, s.id, e.number
    loop
        if done = (pair.e).id and whose = (pair.s).id then
            continue;
        end if;
        begin
            -- Only an account that may read all topics may subscribe to all of them.
            if events.may_read((pair.s).owner, case
                when (pair.s).topics is null or (pair.e).topic = any ((pair.s).topics) then (pair.e).topic
                else 'all:all' end)
            then
                perform events.start(pair.s, pair.e);
                done := (pair.e).id;
                whose := (pair.s).id;
            end if;
        exception
            -- A temporary failure is raised, so that the whole call is tried again.
            when transaction_rollback or insufficient_resources or operator_intervention or system_error
                or object_not_in_prerequisite_state then raise;
            -- A subscription that can't work must not keep others from working.
            when others then
                raise warning 'the subscription % can''t start by event %: %', (pair.s).id, (pair.e).id, sqlerrm;
        end;
    end loop;

    update events.dispatcher w
    set seen = case when final is null then visible else w.seen end,
        until = case when final is null then null else visible end,
        last = final,
        worker = dispatch.worker, leads_until = clock_timestamp() + interval '3 seconds', xid = pg_current_xact_id();
    return jsonb_build_object('leads', true, 'events', exists (select from events.between(d.seen, visible)),
        'started', done is not null, 'more', final is not null);
end
$$;
grant execute on function events.dispatch to gather_worker;
