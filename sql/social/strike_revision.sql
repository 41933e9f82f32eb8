-- Removes the text of a former version of a post, for example one with a password. For its author
-- and moderators.
create or replace function social.strike_revision(account uuid, post uuid, version integer, is_moderator boolean,
    client jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    read jsonb := social.revisions(account, post, is_moderator);
begin
    if read ? 'refused' then
        return read;
    end if;
    update social.revision r set title = '', body = '', html = '', tags = '{}', struck_at = now()
    where r.post_id = post and r.version = strike_revision.version and r.struck_at is null;
    if found then
        perform audit.record(account, 'post.revision-struck', post::text, true, client ->> 'address',
            client ->> 'request_id', jsonb_build_object('version', strike_revision.version));
    elsif not exists (select from social.revision r
            where r.post_id = post and r.version = strike_revision.version) then
        return social.refused('post-not-found');
    end if;
    return '{"ok": null}';
end
$$;
grant execute on function social.strike_revision(uuid, uuid, integer, boolean, jsonb) to gather_social;
