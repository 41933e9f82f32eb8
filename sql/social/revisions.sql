-- The versions of a post's text, the newest first, for its author and moderators.
create or replace function social.revisions(account uuid, post uuid, is_moderator boolean) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    p social.post;
begin
    select x.* into p from social.post x
    where x.id = post and x.deleted_at is null and (is_moderator or exists (
        select from social.readable_post(account) r where r.id = x.id));
    if p.id is null then
        return social.refused('post-not-found');
    elsif not is_moderator and p.author_id <> account then
        return social.refused('forbidden');
    end if;
    return jsonb_build_object('ok', (
        select jsonb_agg(to_jsonb(r) order by r.version desc) from (
            select p.version, p.title, p.body, p.html, p.tags, coalesce(p.edited_at, p.created_at) as written_at,
                false as struck
            union all
            (select v.version, v.title, v.body, v.html, v.tags, v.written_at, v.struck_at is not null
             from social.revision v where v.post_id = p.id order by v.version desc limit 99)
        ) r));
end
$$;
grant execute on function social.revisions(uuid, uuid, boolean) to gather_social;
