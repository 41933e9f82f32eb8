-- Maintains the sum of a post's votes.
create or replace function social.count_post_vote() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    vote social.post_vote := coalesce(new, old);
begin
    update social.post p set score = p.score + coalesce(new.value, 0) - coalesce(old.value, 0) where p.id = vote.post_id;
    return null;
end
$$;
create or replace trigger post_vote_counted after insert or update or delete on social.post_vote
for each row execute function social.count_post_vote();
