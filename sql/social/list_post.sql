-- Maintains the lists and order of a post, in the same statement that votes, tags, pins, hides or deletes.
create or replace function social.list_post() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    lists text[] := '{}';
begin
    if new.deleted_at is null and new.hidden_at is null then
        lists := array['all', 'by:' || new.author_id] || array(select 'tag:' || t from unnest(new.tags) t);
    end if;
    delete from social.listed l where l.post_id = new.id and l.list <> all (lists);
    -- Pinned posts come first.
    insert into social.listed (list, post_id, score, hot)
    select l, new.id, new.score, social.hot(new.created_at, new.score)
        + case when new.pinned_at is null then 0 else 1000000000000000 end
    from unnest(lists) l
    on conflict on constraint listed_pkey do update set score = excluded.score, hot = excluded.hot;
    return null;
end
$$;
create or replace trigger post_listed
after insert or update of score, tags, pinned_at, hidden_at, deleted_at on social.post
for each row execute function social.list_post();
