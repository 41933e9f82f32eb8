-- What a comment said in its versions, the newest first, for its author and moderators.
create or replace function social.comment_revisions(account uuid, comment uuid, is_moderator boolean) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c social.comment;
begin
    select x.* into c from social.comment x
    where x.id = comment and x.deleted_at is null and (is_moderator or exists (
        select from social.readable_comment(account) r where r.id = x.id));
    if c.id is null then
        return social.refused('comment-not-found');
    elsif not is_moderator and c.author_id <> account then
        return social.refused('forbidden');
    end if;
    return jsonb_build_object('ok', (
        select jsonb_agg(to_jsonb(r) order by r.version desc) from (
            select c.version, c.body, c.html, coalesce(c.edited_at, c.created_at) as written_at, false as struck
            union all
            (select v.version, v.body, v.html, v.written_at, v.struck_at is not null
             from social.comment_revision v where v.comment_id = c.id order by v.version desc limit 99)
        ) r));
end
$$;
grant execute on function social.comment_revisions(uuid, uuid, boolean) to gather_social;
