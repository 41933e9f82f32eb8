-- Sets an account's vote on a post; 0 takes it back. Votes are secret.
create or replace function social.vote_post(account uuid, post uuid, value integer) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    p social.post := social.lock_post(account, post);
    total bigint;
begin
    if p.id is null or p.deleted_at is not null then
        return social.refused('post-not-found');
    elsif p.hidden_at is not null or p.locked_at is not null then
        return social.refused('post-locked');
    end if;
    if vote_post.value = 0 then
        delete from social.post_vote v where v.post_id = post and v.account_id = account;
    else
        insert into social.post_vote as v (post_id, account_id, value) values (post, account, vote_post.value)
        on conflict (post_id, account_id) do update set value = excluded.value where v.value <> excluded.value;
    end if;
    select x.score into total from social.post x where x.id = post;
    if total <> p.score then
        perform events.emit(array['post:' || post], 'post.voted', jsonb_build_object('id', post, 'score', total));
    end if;
    return jsonb_build_object('ok', jsonb_build_object('score', total, 'vote', vote_post.value));
end
$$;
grant execute on function social.vote_post(uuid, uuid, integer) to gather_social;
