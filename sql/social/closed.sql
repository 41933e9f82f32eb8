-- The reason why a comment can't change at this moment, whose post the caller has locked; null if it can.
create or replace function social.closed(c social.comment) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select case
        when c.hidden_at is not null or c.locked_at is not null then 'comment-locked'
        when p.hidden_at is not null or p.locked_at is not null then 'post-locked'
    end
    from social.post p where p.id = c.post_id
$$;
