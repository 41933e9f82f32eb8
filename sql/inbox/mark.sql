-- Marks items of an account as `read` or `archived`: those with the given ids, or all that are not newer than `until`.
-- With `undo`, items in this state become unread again. Returns how many changed, and how many are then unread.
create or replace function inbox.mark(account uuid, ids uuid[], until uuid, state text, undo boolean) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    before text[] := case when mark.undo then array[mark.state] when mark.state = 'read' then '{unread}' else '{unread,read}' end;
    after text := case when mark.undo then 'unread' else mark.state end;
    changed bigint;
    unread bigint;
begin
    -- Requests for one account take turns, so that they don't lock its items in different orders.
    perform pg_advisory_xact_lock(hashtextextended(mark.account::text, 20));
    update inbox.item i
    set read_at = case when mark.undo then null else coalesce(i.read_at, now()) end,
        archived_at = case when after = 'archived' then now() end
    where i.account_id = mark.account and i.state = any (before)
    and (mark.ids is null or i.id = any (mark.ids))
    and (mark.until is null or i.id <= mark.until);
    get diagnostics changed = row_count;
    select count(*) into unread from inbox.item i where i.account_id = mark.account and i.state = 'unread';
    if changed > 0 then
        insert into events.event (id, topic, type, data, actor)
        values (platform.uuid_v7(), 'account:' || mark.account, 'inbox.' || after,
            jsonb_build_object('ids', mark.ids, 'until', mark.until, 'unread', unread), mark.account);
    end if;
    return jsonb_build_object('changed', changed, 'unread', unread);
end
$$;
grant execute on function inbox.mark(uuid, uuid[], uuid, text, boolean) to gather_inbox;
