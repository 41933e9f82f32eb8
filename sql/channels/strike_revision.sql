-- Removes the text of a former version of a message, for example one with a password. For its author
-- and moderators.
create or replace function channels.strike_revision(account uuid, ref text, message uuid, version integer,
    is_moderator boolean, client jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    read jsonb := channels.revisions(account, ref, message, is_moderator);
begin
    if read ? 'refused' then
        return read;
    end if;
    update channels.revision r set body = '', html = '', struck_at = now()
    where r.message_id = message and r.version = strike_revision.version and r.struck_at is null;
    if found then
        perform audit.record(account, 'message.revision-struck', message::text, true, client ->> 'address',
            client ->> 'request_id', jsonb_build_object('version', strike_revision.version));
    elsif not exists (select from channels.revision r
            where r.message_id = message and r.version = strike_revision.version) then
        return channels.refused('message-not-found');
    end if;
    return '{"ok": null}';
end
$$;
grant execute on function channels.strike_revision(uuid, text, uuid, integer, boolean, jsonb) to gather_channels;
