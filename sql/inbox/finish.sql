-- Ends an approval whose row the caller has locked and found pending: emits that, tells the asking account, and calls
-- what its subject's kind has registered.
create or replace function inbox.finish(approval uuid, state text, actor uuid) returns void
language plpgsql
as $$
declare
    ended inbox.approval;
    callback text;
begin
    update inbox.approval a set state = finish.state, ended_at = clock_timestamp()
    where a.id = finish.approval and a.state = 'pending' returning a.* into strict ended;
    -- The items that ask for it are removed.
    update inbox.item i set read_at = coalesce(i.read_at, now())
    where i.subject = 'approval:' || ended.id and i.kind = 'approval';
    perform inbox.tell_approval(ended.id,
        'approval.' || case when finish.state in ('approved', 'denied') then 'decided' else finish.state end, finish.actor);
    if ended.asked_by is not null and finish.state <> 'void' and ended.asked_by is distinct from finish.actor then
        perform inbox.notify(array[ended.asked_by], 'approval', format('%s: %s', initcap(finish.state), ended.question), '',
            '/approvals/' || ended.id, null, 'approval:' || ended.id);
    end if;
    select o.function into callback from inbox.on_decided o where o.kind = split_part(ended.subject, ':', 1);
    if found then
        execute format('select %s($1)', callback) using ended.id;
    end if;
end
$$;
